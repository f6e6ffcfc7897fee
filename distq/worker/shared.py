"""Memory that the processes of a pool share, by a file descriptor that they inherit."""

from __future__ import annotations

import os
import tempfile


def allocate(size: int) -> int:
    """A new descriptor of so many bytes of zeros; it belongs to the caller."""
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())
