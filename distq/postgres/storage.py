"""PostgresStorage: each operation is one statement of `queries/`."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from distq.errors import ConfigurationError
from distq.job import (
    CRASH_BUDGET,
    CRASHED,
    Enqueued,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    Outcome,
    Tick,
    first_of_each,
    split_id,
)
from distq.postgres import schema
from distq.postgres.executor import AsyncExecutor, Executor, Listener, Rows, Statement, Target
from distq.postgres.queries import check_schema, query
from distq.storage import Op, T

DEFAULT_SCHEMA = "distq"


class PostgresStorage:
    """Jobs in a schema of a PostgreSQL database, 15 or newer."""

    def __init__(self, url: str) -> None:
        """`url` is libpq's, plus `?schema=` (default `distq`). Raises ConfigurationError."""
        self._target = _parse(url)
        self._executor = Executor(self._target)
        self._async_executor = AsyncExecutor(self._target)
        self._listener = Listener(self._target)

    def enqueue(self, jobs: Sequence[NewJob]) -> Op[list[Enqueued]]:
        def decode(rows: Rows) -> list[Enqueued]:
            created = {row[0] for row in rows}
            return [Enqueued(job.id, job.id[-32:] in created) for job in jobs]

        return self._op(
            "enqueue",
            decode,
            ids=[job.id[-32:] for job in jobs],
            queues=[job.queue for job in jobs],
            tasks=[job.task for job in jobs],
            payloads=[job.payload for job in jobs],
            delays=[float(job.delay) for job in jobs],
            channel=self._target.schema,
        )

    def lease(self, queue: str, *, worker: str, limit: int, ttl: float, alone: bool) -> Op[list[Lease]]:
        token = uuid.uuid4().hex
        head = f"{queue}:"

        def decode(rows: Rows) -> list[Lease]:
            return [Lease(head + row[0], token, *row[1:]) for row in rows]

        return self._op(
            "lease",
            decode,
            queue=queue,
            token=token,
            worker=worker,
            limit=limit,
            ttl=ttl,
            alone=alone,
            repeatable=False,
        )

    def extend(self, leases: Sequence[Lease], *, ttl: float) -> Op[set[str]]:
        return self._op(
            "extend",
            _ours([lease.id for lease in leases]),
            ids=[lease.id[-32:] for lease in leases],
            tokens=[lease.token for lease in leases],
            ttl=ttl,
        )

    def settle(self, outcomes: Sequence[Outcome], *, keep: float) -> Op[set[str]]:
        outcomes = first_of_each(outcomes)
        return self._op(
            "settle",
            _ours([outcome.id for outcome in outcomes]),
            ids=[outcome.id[-32:] for outcome in outcomes],
            tokens=[outcome.token for outcome in outcomes],
            kinds=[outcome.kind.value for outcome in outcomes],
            bodies=[outcome.body for outcome in outcomes],
            delays=[float(outcome.delay) for outcome in outcomes],
            keep=keep,
            channel=self._target.schema,
        )

    def forfeit(
        self, queue: str, *, worker: str, begun: Collection[str], kept: Collection[str] = ()
    ) -> Op[int]:
        return self._op(
            "forfeit",
            lambda rows: rows[0][0],
            queue=queue,
            worker=worker,
            begun=[job_id[-32:] for job_id in begun],
            kept=[job_id[-32:] for job_id in kept],
            **self._burial,
        )

    def tick(self, queue: str, *, limit: int, grace: float, outage: float, eager: bool = False) -> Op[Tick]:
        return self._op(
            "tick",
            lambda rows: Tick(*rows[0][:5]),
            queue=queue,
            limit=limit,
            grace=grace,
            outage=outage,
            eager=eager,
            **self._burial,
        )

    @property
    def _burial(self) -> dict[str, Any]:
        return {"budget": CRASH_BUDGET, "crashed": CRASHED, "channel": self._target.schema}

    def get(self, job_id: str) -> Op[JobRecord | None]:
        def decode(rows: Rows) -> JobRecord | None:
            for task, state, tries, crashes, body in rows:
                return JobRecord(job_id, task, JobState(state), tries, crashes, body)
            return None

        return self._op("get", decode, id=split_id(job_id)[1])

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        def decode(rows: Rows) -> Mapping[JobState, int]:
            return {JobState(state): count for state, count in rows}

        return self._op("counts", decode, queue=queue)

    def migrate(self) -> list[str]:
        """Create or upgrade the schema. Raises StorageUnavailable or SchemaError."""
        with self._target.translated(), psycopg.Connection.connect(**self._target.arguments) as connection:
            return schema.migrate(connection, self._target.schema)

    def run(self, op: Op[T]) -> T:
        return op.decode(self._executor.run(op.request, repeatable=op.repeatable))

    async def arun(self, op: Op[T]) -> T:
        return op.decode(await self._async_executor.run(op.request, repeatable=op.repeatable))

    def wait(self, queues: Sequence[str], *, timeout: float, wakeup: int) -> None:
        self._listener.wait(queues, timeout=timeout, wakeup=wakeup)

    def close(self) -> None:
        self._executor.close()
        self._listener.close()

    async def aclose(self) -> None:
        await self._async_executor.close()

    def _op(
        self, name: str, decode: Callable[[Rows], T], *, repeatable: bool = True, **parameters: Any
    ) -> Op[T]:
        return Op(Statement(query(name, self._target.schema), parameters), decode, repeatable)


def _ours(ids: Sequence[str]) -> Callable[[Rows], set[str]]:
    def decode(rows: Rows) -> set[str]:
        kept = {row[0] for row in rows}
        return {job_id for job_id in ids if job_id[-32:] in kept}

    return decode


def _parse(url: str) -> Target:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = check_schema(options.pop("schema", DEFAULT_SCHEMA))
    plain = f"{parts.scheme}://{parts.netloc}{parts.path}" + (
        f"?{urlencode(options, quote_via=quote)}" if options else ""
    )
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"not a PostgreSQL URL: {' '.join(str(error).split())}") from error
    return Target(plain, name)
