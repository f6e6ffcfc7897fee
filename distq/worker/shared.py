"""Memory that the processes of a pool share, by a file descriptor that they inherit."""

from __future__ import annotations

import os
import tempfile


def allocate(size: int) -> int:
    """A new descriptor of so many bytes of zeros; it belongs to the caller. Raises OSError.

    They are on the disk from the beginning: where it is full later, to touch the first byte of a page that is
    not there ends a process.
    """
    with tempfile.TemporaryFile() as file:
        file.write(bytes(size))
        file.flush()
        return os.dup(file.fileno())
