"""The Redis storage: one Lua script a transition in `scripts/`, the keys in `keys.md`."""
