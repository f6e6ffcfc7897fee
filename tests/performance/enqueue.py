"""What an enqueue costs beside the bare client's: `python -m tests.performance.enqueue`.

Many: a thousand jobs a call, beside COPY, and HSET with RPUSH, as the raw contenders send them. One: a call
that is answered before the next, beside one prepared INSERT that commits, and one RPUSH.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from adapters.base import Adapter, Cell, JobSpec, Service
from adapters.distq import TASK, DistqAdapter, DistqPostgres, DistqRedis
from adapters.raw_postgres import RawPostgres
from adapters.raw_redis import RawRedis
from adapters.stores import PostgresStore, RedisStore
from scenarios.servers import Servers
from scenarios.workload import WARM_UP, Workload
from tests.performance import tables

NEEDS = frozenset({Service.POSTGRES, Service.REDIS})
BARE = {DistqPostgres.name: RawPostgres.name, DistqRedis.name: RawRedis.name}
ADAPTERS: tuple[type[Adapter], ...] = (DistqPostgres, RawPostgres, DistqRedis, RawRedis)
SHARE = 100
"""Of the jobs, one of so many is enqueued singly."""

_INSERT = "INSERT INTO jobs (id, payload) VALUES (%s, %s)"

Send = Callable[[JobSpec], object]


def measure(servers: Servers, jobs: int, rounds: int) -> None:
    """Print both tables."""
    cells = {adapter: _cell(servers, adapter) for adapter in ADAPTERS}
    specs = list(Workload(jobs=jobs, payload_bytes=len(tables.PAYLOAD)).specs())
    many = {adapter.name: partial(_send_many, adapter(cell), specs) for adapter, cell in cells.items()}
    _print(f"many: jobs/s, {jobs:,} jobs", tables.by_turns(many, rounds))
    few = specs[: max(1, jobs // SHARE)]
    single = {adapter.name: partial(_send_each, adapter(cell), cell, few) for adapter, cell in cells.items()}
    _print(f"one at a time: jobs/s, {len(few):,} jobs", tables.by_turns(single, rounds))


def _cell(servers: Servers, adapter: type[Adapter]) -> Cell:
    urls = {service: servers.urls[service] for service in adapter.needs}
    namespace = f"parts_{adapter.name.replace('-', '_')}"
    return Cell(adapter=adapter.name, namespace=namespace, urls=urls, directory=servers.guard.directory)


def _send_many(adapter: Adapter, specs: Sequence[JobSpec]) -> float:
    adapter.setup()
    began = time.perf_counter()
    deque(adapter.submit(specs), maxlen=0)
    rate = len(specs) / (time.perf_counter() - began)
    adapter.teardown()
    return rate


def _send_each(adapter: Adapter, cell: Cell, specs: Sequence[JobSpec]) -> float:
    adapter.setup()
    send = _sender(adapter, cell)
    send(JobSpec(WARM_UP, tables.PAYLOAD))  # connects and prepares
    began = time.perf_counter()
    for spec in specs:
        send(spec)
    rate = len(specs) / (time.perf_counter() - began)
    adapter.teardown()
    return rate


def _sender(adapter: Adapter, cell: Cell) -> Send:
    """What sends one job and waits for the answer."""
    if isinstance(adapter, DistqAdapter):
        enqueue = adapter.make_app().tasks[TASK].enqueue
        return lambda spec: enqueue(spec.id, spec.payload)
    if isinstance(adapter, RawPostgres):
        connection = PostgresStore(cell).connect()
        return lambda spec: connection.execute(_INSERT, spec, prepare=True)
    store = RedisStore(cell)
    client, key = store.connect(), store.key("ready")
    return lambda spec: client.rpush(key, spec.payload)


def _print(title: str, rates: dict[str, list[float]]) -> None:
    rows = [
        (
            ours,
            tables.ranged(rates[ours]),
            tables.ranged(rates[bare]),
            tables.ratios(rates[ours], rates[bare]),
        )
        for ours, bare in BARE.items()
    ]
    rounds = len(rates[DistqRedis.name])
    heads = ("contender", "distq", "bare client", "distq / bare")
    tables.print_markdown(f"{title}, medians of {rounds} rounds", heads, rows)


if __name__ == "__main__":
    sys.exit(tables.run("enqueue", measure, NEEDS, jobs=100_000))
