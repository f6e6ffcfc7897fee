"""CPU time and memory of process trees, and the end of every process of a contender."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from adapters.base import CELL_VARIABLE

_INTERVAL_S = 0.5
"""Between looks at the memory: to find a process's children takes 1.5 ms of CPU."""
_PATIENCE_S = 1.0


class Spending:
    """CPU-seconds that a pool and the servers spend from now on."""

    def __init__(self, pool: int, servers: list[int]) -> None:
        self._pool, self._servers = [pool], servers
        self._began = time.monotonic()
        self._worker, self._broker = cpu_seconds(self._pool), cpu_seconds(self._servers)

    def so_far(self) -> dict[str, float]:
        """`worker_cpu_s`; where the servers can be seen `broker_cpu_s` and what memory they have now,
        `broker_mb`; over how long, `watched_s`.
        """
        watched_s = time.monotonic() - self._began
        spent = {"watched_s": watched_s, "worker_cpu_s": cpu_seconds(self._pool) - self._worker}
        if self._servers:
            spent["broker_cpu_s"] = cpu_seconds(self._servers) - self._broker
            spent["broker_mb"] = own_memory_mb(self._servers)
        return {name: value for name, value in spent.items() if value == value}


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


def own_memory_mb(roots: Iterable[int]) -> float:
    """Memory of process trees in MiB, a page that is shared once; NaN where the system does not say."""
    total = 0
    for process in _trees(roots):
        with suppress(psutil.NoSuchProcess):
            pss = getattr(process.memory_full_info(), "pss", None)
            if pss is None:
                return math.nan
            total += pss
    return total / 2**20


class Memory:
    """What a process tree had whenever it was looked at, in MiB."""

    def __init__(self) -> None:
        self._seen: list[float] = []

    def look(self, root: int) -> None:
        """Look once more."""
        self._seen.append(memory_mb([root]))

    def seen(self) -> dict[str, float]:
        """`peak_rss_mb`; and `grown_mb`, what the second half added: once all is warm nothing should."""
        if not self._seen:
            return {}
        middle = len(self._seen) // 2
        return {
            "peak_rss_mb": max(self._seen),
            "grown_mb": max(self._seen[middle:]) - max(self._seen[: middle + 1]),
        }


@contextmanager
def watch_memory(root: int) -> Iterator[Memory]:
    """Look at the memory of a process tree now and then, and once at the end."""
    memory, over = Memory(), threading.Event()

    def watch() -> None:
        while not over.wait(_INTERVAL_S):
            memory.look(root)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()
        memory.look(root)


def kill_contender(cell: Path) -> None:
    """Kill every process that carries this cell in its environment, also those that lost their parent."""
    while carriers := list(_carriers(cell)):
        for process in carriers:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(carriers, timeout=_PATIENCE_S)


def _carriers(cell: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        # Whose environment may not be read is not one of ours.
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid != os.getpid() and process.environ().get(CELL_VARIABLE) == str(cell):
                yield process


def _trees(roots: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in roots:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield root
            yield from root.children(recursive=True)
