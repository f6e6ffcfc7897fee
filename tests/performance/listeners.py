"""What idle workers cost who enqueues on PostgreSQL: `python -m tests.performance.listeners`.

Each has a connection that listens, and the hint of every enqueue wakes them all. They are threads of one
process on the same machine, which takes a core from the others: the server's CPU is what it alone has to do.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from adapters.base import Service
from distq import DistQ
from distq.connect import connect
from distq.polling import readable
from distq.storage import Listener
from scenarios.resources import cpu_seconds
from scenarios.servers import Servers
from tests.performance import tables

COUNTS = (0, 8, 64)
CHUNK = 1000
SHARE = 20
"""Of the jobs, one of so many is enqueued in a transaction of its own."""
QUEUE = "parts"


def measure(servers: Servers, jobs: int, rounds: int) -> None:
    """Print a table for each way of enqueuing."""
    url, server = servers.urls[Service.POSTGRES], servers.pids[Service.POSTGRES]
    app = DistQ(url)
    app.storage.migrate()
    task = app.task(queue=QUEUE)(tables.noop)
    cases = {str(count): partial(_round, url, server, count, task, jobs) for count in COUNTS}
    found = tables.by_turns(cases, rounds)
    app.close()
    for way, title in enumerate(("one job a transaction", f"{CHUNK:,} jobs a transaction")):
        rates, costs = ({name: [spent[way][i] for spent in found[name]] for name in found} for i in (0, 1))
        none = rates[str(COUNTS[0])]
        rows = [
            (name, tables.ranged(rates[name]), tables.ratios(rates[name], none), tables.ranged(costs[name]))
            for name in found
        ]
        heads = ("listeners", "jobs/s", "ratio to none", "server CPU, µs a job")
        tables.print_markdown(f"enqueue on postgres, {title}, medians of {rounds} rounds", heads, rows)


def _round(url: str, server: int, count: int, task: Any, jobs: int) -> list[tuple[float, float]]:
    """Both ways while so many listen."""
    with _listening(url, count):
        task.enqueue(tables.PAYLOAD)  # connects and prepares
        return [_timed(server, task, max(1, jobs // SHARE), 1), _timed(server, task, jobs, CHUNK)]


def _timed(server: int, task: Any, jobs: int, chunk: int) -> tuple[float, float]:
    """Jobs a second, and the server's µs a job."""
    cpu, began = cpu_seconds([server]), time.perf_counter()
    for start in range(0, jobs, chunk):
        task.enqueue_many([(tables.PAYLOAD,)] * min(chunk, jobs - start))
    took = time.perf_counter() - began
    return jobs / took, (cpu_seconds([server]) - cpu) / jobs * 1e6


@contextmanager
def _listening(url: str, count: int) -> Iterator[None]:
    """Listeners in another process, which ends when the pipe to it is closed, by whatever."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_listen, args=(url, count, theirs))
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield
    finally:
        ours.close()
        process.join()


def _listen(url: str, count: int, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listeners = [connect(url).listener(queues=[QUEUE]) for _ in range(count)]
    for listener in listeners:
        listener.wait(timeout=0, wakeup=pipe.fileno())  # connects
        threading.Thread(target=_follow, args=(listener, pipe.fileno())).start()
    pipe.send(count)
    readable([pipe.fileno()], 86_400)


def _follow(listener: Listener, wakeup: int) -> None:
    while not readable([wakeup], 0):
        listener.wait(timeout=3600, wakeup=wakeup)


if __name__ == "__main__":
    sys.exit(tables.run("listeners", measure, {Service.POSTGRES}, jobs=20_000))
