"""The memory storage: the contract in plain Python. The reference for the others, and a test double."""
