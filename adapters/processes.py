"""Worker processes for contenders that bring no pool of their own: started, replaced, ended.

It does for them what a service manager does in production (systemd's `Restart=always`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_RESTART_S = 0.2
"""Between a death and the replacement: a worker that dies at once must not burn the machine."""
_GRACE_S = 8.0
"""What a worker may take to finish what it runs, once told to end."""


class Stop:
    """True once this process was told to end; workers look at it between jobs."""

    def __init__(self) -> None:
        self._told = False
        signal.signal(signal.SIGTERM, self._tell)

    def _tell(self, *_: object) -> None:
        self._told = True

    def __bool__(self) -> bool:
        return self._told


def run(work: Callable[[Stop], None], processes: int) -> None:
    """Run `work` in that many forked processes until SIGTERM; returns with all of them gone."""
    # Some systems drop a signal whose default is to be ignored even while it is blocked.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pool = [_start(work) for _ in range(processes)]
    while signal.sigwait(_SIGNALS) == signal.SIGCHLD:
        if not all(process.is_alive() for process in pool):
            time.sleep(_RESTART_S)
            pool = [process if process.is_alive() else _start(work) for process in pool]
    _end(pool)


def _start(work: Callable[[Stop], None]) -> BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=_child, args=(work, os.getpid()))
    process.start()
    return process


def _child(work: Callable[[Stop], None], parent: int) -> None:
    stop = Stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    work(stop)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however that died."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _end(pool: list[BaseProcess]) -> None:
    for process in pool:
        process.terminate()
    deadline = time.monotonic() + _GRACE_S
    for process in pool:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
