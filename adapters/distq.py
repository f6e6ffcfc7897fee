"""distq on PostgreSQL and on Redis, with its own pool.

The namespace is distq's own: `?schema=` and `?prefix=`. All profiles keep the same promise, for distq has
no weaker one; `tuned` differs in nothing, for it sizes its batches itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import Any, ClassVar

import psycopg
import redis
from psycopg import sql

from adapters.base import Adapter, AdapterError, Cell, JobSpec, Profile, Promises, Service, Submission
from distq import DistQ, JobState, StorageError
from distq.worker import LARGEST_BATCH

QUEUE = "bench"
TASK = "bench.job"
_CHUNK = 1000
_OPEN_STATES = (JobState.READY, JobState.SCHEDULED, JobState.LEASED)


class DistqAdapter(Adapter):
    """What both storages share."""

    service: ClassVar[Service]

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._ids: dict[int, str] = {}

    @cached_property
    def _app(self) -> DistQ:
        return make_app(self._cell, self._url)

    @property
    def _url(self) -> str:
        raise AdapterError(f"{self.name} has no URL")

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        return Promises(
            delivery="at least once",
            acked="after the run, with the result, in one transaction",
            fenced=True,
            results=f"{cls.service}, kept an hour",
            prefetch=f"what 50 ms will run, up to {LARGEST_BATCH}",
            batch=f"{_CHUNK} enqueued, up to {LARGEST_BATCH} settled",
            redelivery_s=1.0,
        )

    def setup(self) -> None:
        self.teardown()
        try:
            self._app.storage.migrate()
        except StorageError as error:
            raise AdapterError(f"{error}; start it, or name another by --{self.service}-url") from error

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        task = self._app.tasks[TASK]
        source = iter(jobs)
        while chunk := list(islice(source, _CHUNK)):
            try:
                handles = task.enqueue_many(chunk)
            except StorageError:
                yield from (Submission(job.id, "unknown") for job in chunk)
                continue
            self._ids.update((job.id, handle.id) for job, handle in zip(chunk, handles, strict=True))
            yield from (Submission(job.id, "accepted") for job in chunk)

    def run_pool(self) -> None:
        argv = [sys.executable, "-m", "distq", "worker", "adapters.distq:app", "--queues", QUEUE]
        argv += ["--processes", str(self._cell.processes), "--concurrency", str(self._cell.concurrency)]
        pool = subprocess.Popen([*argv, "--grace", "5"])
        signal.signal(signal.SIGTERM, lambda *_: pool.terminate())
        pool.wait()

    def depth(self) -> int:
        counts = self._app.storage.run(self._app.storage.counts(QUEUE))
        return sum(counts.get(state, 0) for state in _OPEN_STATES)

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for number in ids:
            record = self._app.storage.run(self._app.storage.get(self._ids[number]))
            if record is not None and record.state is JobState.DONE:
                found[number] = int(record.body)
        return found

    def effective_settings(self) -> Mapping[str, str]:
        return {"distq": version("distq"), "largest batch": str(LARGEST_BATCH), **self._server_settings()}

    def _server_settings(self) -> Mapping[str, str]:
        return {}

    def teardown(self) -> None:
        try:
            self._remove()
        except (psycopg.OperationalError, redis.ConnectionError) as error:
            text = " ".join(str(error).split())
            raise AdapterError(f"{self.name}: its server cannot be reached ({text})") from error
        self._app.close()

    def _remove(self) -> None:
        """Remove the namespace from the server."""


class DistqPostgres(DistqAdapter):
    """Jobs in a schema."""

    name = "distq-postgres"
    needs = frozenset({Service.POSTGRES})
    service = Service.POSTGRES

    @property
    def _url(self) -> str:
        return _with(self._cell.urls[Service.POSTGRES], "schema", self._cell.namespace)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._cell.urls[Service.POSTGRES], autocommit=True, connect_timeout=3)

    def _server_settings(self) -> Mapping[str, str]:
        with self._connect() as connection:
            names = ["server_version", "synchronous_commit", "fsync"]
            rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (names,))
            return {f"postgres.{name}": setting for name, setting in rows}

    def _remove(self) -> None:
        with self._connect() as connection:
            connection.execute("SET client_min_messages TO warning")
            name = sql.Identifier(self._cell.namespace)
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))


class DistqRedis(DistqAdapter):
    """Jobs under a prefix."""

    name = "distq-redis"
    needs = frozenset({Service.REDIS})
    service = Service.REDIS

    @property
    def _url(self) -> str:
        return _with(self._cell.urls[Service.REDIS], "prefix", self._cell.namespace)

    def _server_settings(self) -> Mapping[str, str]:
        with redis.Redis.from_url(self._cell.urls[Service.REDIS]) as client:
            settings: Any = client.config_get("append*")
            return {f"redis.{key}": str(settings[key]) for key in ("appendonly", "appendfsync")}

    def _remove(self) -> None:
        with redis.Redis.from_url(self._cell.urls[Service.REDIS], socket_connect_timeout=3) as client:
            for key in client.scan_iter(match=f"{self._cell.namespace}:*", count=1000):
                client.unlink(key)


def make_app(cell: Cell, url: str) -> DistQ:
    """The app of a cell: one task, which calls the harness's handler."""
    app = DistQ(url)
    handler = cell.make_handler()

    @app.task(name=TASK, queue=QUEUE)
    def job(job_id: int, payload: str) -> int:
        return handler(job_id, payload)

    return app


def _with(url: str, option: str, value: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{option}={value}"


def __getattr__(name: str) -> DistQ:
    """`app`, for the worker processes: they find their cell in the environment."""
    if name != "app" or "DISTQ_BENCH_CELL" not in os.environ:
        raise AttributeError(name)
    cell = Cell.current()
    kind = DistqPostgres if cell.adapter == DistqPostgres.name else DistqRedis
    return make_app(cell, kind(cell)._url)
