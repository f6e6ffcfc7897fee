"""distq on PostgreSQL and on Redis, with its own pool.

The namespace is distq's own: `?schema=` and `?prefix=`. All profiles keep the same promise, for distq has
no weaker one, and it sizes its batches itself, so that `tuned` has nothing to set.
"""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from itertools import islice
from typing import ClassVar

from adapters.base import (
    CELL_VARIABLE,
    Adapter,
    Cell,
    Handler,
    JobSpec,
    Profile,
    Promises,
    Service,
    Submission,
)
from adapters.stores import LAST_SECOND, PostgresStore, RedisStore
from distq import DistQ, JobState, StorageError, current_job
from distq.job import Outcome, OutcomeKind
from distq.storage import Op, Storage
from distq.worker.settings import BATCH

QUEUE = "bench"
TASK = "bench.job"
_CHUNK = 1000
_OPEN_STATES = (JobState.READY, JobState.SCHEDULED, JobState.LEASED)
_UNEQUAL = (
    "Its authors wrote this testbed and the adapters of all contenders, and tuned distq with it.",
    f"It works in batches in every profile: {_CHUNK} jobs a call enqueued, up to {BATCH} leased or settled;"
    " Celery, and RabbitMQ unless tuned, acknowledge one by one.",
    "While jobs wait in a process, what has finished gathers for up to 25 ms before it is settled: it runs"
    " again where the process is killed then.",
    "Results are kept an hour, those of others a day or until the tear-down.",
)
_ENDS = {OutcomeKind.DONE, OutcomeKind.DEAD, OutcomeKind.CANCELLED}


class SettleWatch:
    """Tells the handler which jobs the storage has settled, when its answer is there."""

    def __init__(self, storage: Storage, handler: Handler) -> None:
        self._settle, self._settled = storage.settle, handler.settled
        self.numbers: dict[str, int] = {}
        """Of the jobs that have begun here: distq's id → the harness's number."""

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        """The storage's own operation, whose answer is also looked at here."""
        op = self._settle(outcomes, keep=keep)

        def decode(answer: object) -> set[str]:
            ours = op.decode(answer)
            self._note(outcomes, ours)
            return ours

        return Op(op.request, decode, op.repeatable)

    def _note(self, outcomes: Sequence[Outcome], ours: set[str]) -> None:
        ended: list[int] = []
        for outcome in outcomes:
            if outcome.id in ours:
                number = self.numbers.pop(outcome.id, None)
                if number is not None and outcome.kind in _ENDS:
                    ended.append(number)
        if ended:
            self._settled(ended)


class DistqAdapter(Adapter):
    """What both storages share."""

    service: ClassVar[Service]
    option: ClassVar[str]
    """What distq's URL calls the namespace."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._ids: dict[int, str] = {}

    @cached_property
    def _app(self) -> DistQ:
        return self.make_app()

    def make_app(self) -> DistQ:
        """The app of the cell: one task, which calls the harness's handler."""
        url, handler = self._cell.urls[self.service], self._cell.make_handler()
        app = DistQ(f"{url}{'&' if '?' in url else '?'}{self.option}={self._cell.namespace}")
        watch = SettleWatch(app.storage, handler)
        app.storage.settle, numbers = watch.settle, watch.numbers

        @app.task(name=TASK, queue=QUEUE)
        def job(job_id: int, payload: str) -> int:
            numbers[current_job().id] = job_id
            return handler(job_id, payload)

        return app

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        return Promises(
            delivery="at least once",
            acked="after the run, with the result, in one transaction",
            fenced=True,
            results=f"{cls.service}, kept an hour",
            prefetch=f"what 50 ms will run, up to {BATCH}",
            batch=f"{_CHUNK} enqueued, up to {BATCH} settled",
            redelivery_s=1.0,
        )

    def setup(self) -> None:
        self.teardown()
        self._app.storage.migrate()

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
        if self._cell.batch:
            argv += ["--batch", str(self._cell.batch)]
        # In place of this process, whose memory would else be counted as distq's.
        os.execv(sys.executable, [*argv, "--grace", "5"])

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
        return {"distq": version("distq"), "batch": str(self._cell.batch or BATCH), **self._server_settings()}

    @abstractmethod
    def _server_settings(self) -> Mapping[str, str]:
        """What decides the durability of the server's writes."""

    def teardown(self) -> None:
        self._remove()
        self._app.close()

    @abstractmethod
    def _remove(self) -> None:
        """Remove the namespace from the server. Raises AdapterError where it does not answer."""


class DistqPostgres(DistqAdapter):
    """distq on PostgreSQL: the jobs in a schema."""

    name = "distq-postgres"
    needs = frozenset({Service.POSTGRES})
    service, option = Service.POSTGRES, "schema"
    unequal = (
        *_UNEQUAL,
        "A lease does not wait for the disk, whatever the tier: a crash of the server may make its jobs ready"
        " again. Enqueues and settles wait as the tier says.",
    )

    def _server_settings(self) -> Mapping[str, str]:
        return PostgresStore(self._cell).settings()

    def _remove(self) -> None:
        PostgresStore(self._cell).drop()


class DistqRedis(DistqAdapter):
    """distq on Redis: the jobs under a prefix."""

    name = "distq-redis"
    needs = frozenset({Service.REDIS})
    service, option = Service.REDIS, "prefix"
    unequal = (*_UNEQUAL, LAST_SECOND)

    def _server_settings(self) -> Mapping[str, str]:
        return RedisStore(self._cell).settings()

    def _remove(self) -> None:
        RedisStore(self._cell).clear()


def __getattr__(name: str) -> DistQ:
    """`app`, for the worker processes: they find their cell in the environment."""
    if name != "app" or CELL_VARIABLE not in os.environ:
        raise AttributeError(name)
    cell = Cell.current()
    return (DistqPostgres if cell.adapter == DistqPostgres.name else DistqRedis)(cell).make_app()
