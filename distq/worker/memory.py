"""How much memory the process has, in bytes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_UNIT = 1 if sys.platform == "darwin" else 2**10
"""What `ru_maxrss` counts in."""

_STATM = Path("/proc/self/statm")


def peak() -> int:
    """The most that it has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def resident() -> int:
    """What it has now; where the system does not say, the most that it has had."""
    try:
        return int(_STATM.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return peak()
