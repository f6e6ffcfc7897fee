"""A contender's pool as a test starts it, and everything that belongs to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from adapters.base import CELL_VARIABLE, Cell
from tests.helpers import eventually

ROOT = Path(__file__).parent.parent

_PROGRAM = """
from adapters.base import Cell
from adapters.registry import load
cell = Cell.current()
load(cell.adapter)(cell).run_pool()
"""


@contextmanager
def running_pool(cell: Cell) -> Iterator[subprocess.Popen[bytes]]:
    """The cell's pool in a session of its own, of which nothing is left at the end."""
    (cell.directory / "cell.json").write_text(cell.model_dump_json())
    environment = os.environ | {CELL_VARIABLE: str(cell.directory / "cell.json")}
    with (cell.directory / "pool.log").open("ab") as log:
        pool = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield pool
    finally:
        kill_session(pool)


def session_of(pool: subprocess.Popen[bytes]) -> list[int]:
    """The living processes of a pool, also those that lost their parent."""
    living = (p.pid for p in psutil.process_iter(["status"]) if p.info["status"] != psutil.STATUS_ZOMBIE)
    return [pid for pid in living if _session(pid) == pool.pid]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # it ended just now
        return None


def kill_session(pool: subprocess.Popen[bytes]) -> None:
    """End every process of a pool at once, as a crash of the machine does."""
    for pid in session_of(pool):
        with suppress(ProcessLookupError):  # some end with their parent
            os.kill(pid, signal.SIGKILL)
    pool.wait()
    eventually(lambda: not session_of(pool))
