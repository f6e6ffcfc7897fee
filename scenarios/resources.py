"""CPU time and memory of process trees."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil

_INTERVAL_S = 0.1


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU-seconds so far of process trees, with the children that have ended and been waited for."""
    total = 0.0
    for process in _trees(roots):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def memory_mb(roots: Iterable[int]) -> float:
    """Resident memory of process trees in MiB; pages that processes share count for each."""
    total = 0
    for process in _trees(roots):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / 2**20


class Peak:
    """The highest memory seen so far, in MiB."""

    mb = 0.0


@contextmanager
def watch_memory(roots: Iterable[int]) -> Iterator[Peak]:
    """Sample the memory of process trees ten times a second."""
    peak, over, roots = Peak(), threading.Event(), list(roots)

    def sample() -> None:
        while not over.wait(_INTERVAL_S):
            peak.mb = max(peak.mb, memory_mb(roots))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()
        peak.mb = max(peak.mb, memory_mb(roots))


def _trees(roots: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in roots:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield root
            yield from root.children(recursive=True)
