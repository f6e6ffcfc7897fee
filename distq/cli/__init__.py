"""The command line: `distq …` or `python -m distq …`."""

from distq.cli.program import cli, main

__all__ = ["cli", "main"]
