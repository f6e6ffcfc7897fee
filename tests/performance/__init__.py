"""Programs that print what distq's parts cost: `make bench-parts`. Figures of one machine, and no tests."""
