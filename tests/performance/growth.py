"""Whether what jobs leave behind stays bounded: `python -m tests.performance.growth`.

A closed loop of jobs whose results are kept for seconds, for several minutes. Each row of a table is a round:
how fast it was, and what lies on PostgreSQL's disk or in Redis' memory at its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import redis

from adapters.base import Service
from distq import DistQ
from scenarios.printing import number
from scenarios.servers import Servers
from tests.performance import tables

KEPT_S = 5.0
"""How long a result stays."""

CHUNK, AHEAD = 1000, 10
"""Jobs that are enqueued at once, and of such chunks how many have not ended."""

_URL = "DISTQ_PARTS_URL"
app = DistQ(os.environ.get(_URL, "memory://"), result_ttl=KEPT_S)
task = app.task(name="parts.noop", queue="parts")(tables.noop)

_SIZES = """
    SELECT relname, pg_relation_size(relid) / 2 ^ 20, pg_indexes_size(relid) / 2 ^ 20, n_dead_tup
    FROM pg_stat_user_tables WHERE schemaname = 'distq' AND relname IN ('job', 'finished')
"""

Look = Callable[[], Mapping[str, float]]


def measure(servers: Servers, jobs: int, rounds: int) -> None:
    """Print a table for each storage."""
    postgres, kept = servers.urls[Service.POSTGRES], servers.urls[Service.REDIS]
    with psycopg.connect(postgres, autocommit=True) as connection:
        _print("postgres", postgres, lambda: _on_disk(connection), jobs, rounds)
    with redis.Redis.from_url(kept) as client:
        _print("redis", kept, lambda: {"memory, MB": _memory(client)}, jobs, rounds)


def _print(store: str, url: str, look: Look, jobs: int, rounds: int) -> None:
    found: list[Mapping[str, float]] = []
    with _pool(url) as enqueue_many:
        for _ in range(rounds):
            began = time.perf_counter()
            _churn(enqueue_many, jobs)
            found.append({"jobs/s": jobs / (time.perf_counter() - began), **look()})
    rows = [(f"{n * jobs:,}", *map(number, row.values())) for n, row in enumerate(found, 1)]
    title = f"{store}: after so many jobs, results kept for {KEPT_S:g} s"
    tables.print_markdown(title, ["jobs", *found[0]], rows)


def _churn(enqueue_many: Callable[[Any], list[Any]], jobs: int) -> None:
    ends: deque[Any] = deque()
    for start in range(0, jobs, CHUNK):
        ends.append(enqueue_many([(tables.PAYLOAD,)] * min(CHUNK, jobs - start))[-1])
        if len(ends) > AHEAD:
            ends.popleft().result(timeout=60)


@contextmanager
def _pool(url: str) -> Iterator[Callable[[Any], list[Any]]]:
    """Two worker processes of a fresh storage, and the way to enqueue for them."""
    ours = DistQ(url, result_ttl=KEPT_S)
    ours.storage.migrate()
    argv = [sys.executable, "-m", "distq", "worker", f"{__spec__.name}:app", "--processes", "2"]
    pool = subprocess.Popen([*argv, "--queues", "parts"], env=os.environ | {_URL: url}, stdout=sys.stderr)
    try:
        yield ours.task(name=task.name, queue="parts")(tables.noop).enqueue_many
    finally:
        pool.send_signal(signal.SIGTERM)
        pool.wait()
        ours.close()


def _on_disk(connection: psycopg.Connection) -> Mapping[str, float]:
    found = connection.execute(_SIZES).fetchall()
    heads = ("{}, MB", "indexes of {}, MB", "dead rows of {}")
    return {
        head.format(name): value
        for name, *values in sorted(found, reverse=True)
        for head, value in zip(heads, values, strict=True)
    }


def _memory(client: redis.Redis) -> float:
    return client.info("memory")["used_memory"] / 2**20  # pyright: ignore[reportIndexIssue]


if __name__ == "__main__":
    sys.exit(tables.run("growth", measure, {Service.POSTGRES, Service.REDIS}, jobs=1_000_000))
