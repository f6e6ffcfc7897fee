"""PostgreSQL driven by bare SQL, no Python per job: the ceiling of a queue on this server.

The same transitions as a job of distq makes, with the same state, token and expiry on each row:
ready → leased → done, and back to ready when the lease has expired.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from uuid import uuid4

import psycopg

from adapters import processes
from adapters.base import Adapter, Cell, JobSpec, Profile, Promises, Service, Submission
from adapters.stores import PostgresStore

_BATCH: dict[Profile, int] = {"default": 200, "matched": 200, "tuned": 1000}
_ENQUEUE = 1000
_TTL_S = 3
_WAIT_S = 0.2

_TABLE = """
CREATE TABLE jobs (
    id bigint PRIMARY KEY,
    state text NOT NULL DEFAULT 'ready',
    payload text NOT NULL,
    token uuid,
    expires_at timestamptz,
    result bigint
);
CREATE INDEX jobs_ready ON jobs (id) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (expires_at) WHERE state = 'leased';
"""

# `after` is the last id this worker took: without it each scan walks the dead index entries of
# every job that was taken before.
_LEASE = """
WITH batch AS MATERIALIZED (
    SELECT id FROM jobs WHERE state = 'ready' AND id > %(after)s
    ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET state = 'leased', token = %(token)s, expires_at = now() + %(ttl)s * interval '1 second'
FROM batch WHERE jobs.id = batch.id
RETURNING jobs.id
"""

_SETTLE = """
UPDATE jobs SET state = 'done', result = id + length(payload), token = NULL, expires_at = NULL
WHERE id = ANY(%(ids)s) AND token = %(token)s
"""

_RECLAIM = """
UPDATE jobs SET state = 'ready', token = NULL, expires_at = NULL
WHERE state = 'leased' AND expires_at < now()
"""


_BEGINNING = -1


class RawPostgres(Adapter):
    """COPY in, `FOR UPDATE SKIP LOCKED` out, results computed by the server."""

    name = "raw-postgres"
    needs = frozenset({Service.POSTGRES})
    unequal = (
        "A ceiling of the server, no queue: no Python runs for a job and none of its work is done. A batch is"
        " recorded as started and finished at once, and SQL computes the results.",
        f"{_BATCH['matched']} jobs are leased, and settled, in one statement (tuned: {_BATCH['tuned']}), and"
        f" {_ENQUEUE} enqueued by one COPY.",
        "No retries, errors, history, priorities, schedules or pausing: distq's statements carry them all.",
        "No strict ceiling of distq, whose batches may be larger, and whose lease does not wait for the disk"
        " as this one does.",
    )

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._store = PostgresStore(cell)
        self._batch = cell.batch or _BATCH[cell.profile]

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        return Promises(
            delivery="at least once",
            acked="after the batch, result stored",
            fenced=True,
            results="a column of the job's row",
            prefetch=f"{_BATCH[profile]}, leased as one batch",
            batch=f"up to {_ENQUEUE} enqueued, up to {_BATCH[profile]} leased and settled",
            redelivery_s=_TTL_S + _WAIT_S,
        )

    def setup(self) -> None:
        self._store.create()
        with self._store.connect() as connection:
            connection.execute(_TABLE)

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        waiting = iter(jobs)
        while chunk := list(islice(waiting, _ENQUEUE)):
            try:
                self._enqueue(self._sender, chunk)
                status = "accepted"
            except psycopg.OperationalError:
                status = "unknown"
                self._hang_up()
            for job in chunk:
                yield Submission(job.id, status)

    @cached_property
    def _sender(self) -> psycopg.Connection:
        return self._store.connect()

    def _hang_up(self) -> None:
        sender: psycopg.Connection | None = self.__dict__.pop("_sender", None)
        if sender:
            sender.close()

    def _enqueue(self, connection: psycopg.Connection, jobs: Sequence[JobSpec]) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy("COPY jobs (id, payload) FROM STDIN") as copy:
                for job in jobs:
                    copy.write_row(job)
            cursor.execute("SELECT pg_notify(%s, '')", (self._cell.namespace,))

    def run_pool(self) -> None:
        processes.run(self._work, self._cell.processes)

    def _work(self, stop: processes.Stop) -> None:
        handler = self._cell.make_handler()
        with self._store.connect() as connection:
            connection.execute(f'LISTEN "{self._cell.namespace}"'.encode())
            after = _BEGINNING
            while not stop:
                token = uuid4()
                ids = self._lease(connection, token, after)
                if ids:
                    handler.batch(ids)
                    settled = connection.execute(_SETTLE, {"ids": ids, "token": token})
                    if settled.rowcount == len(ids):  # else nobody knows which of them are not ours
                        handler.settled(ids)
                    after = max(ids)
                elif after > _BEGINNING:
                    after = _BEGINNING  # what was given back lies behind
                else:
                    connection.execute(_RECLAIM)
                    for _ in connection.notifies(timeout=_WAIT_S, stop_after=1):
                        pass

    def _lease(self, connection: psycopg.Connection, token: object, after: int) -> list[int]:
        values = {"after": after, "limit": self._batch, "token": token, "ttl": _TTL_S}
        return [row[0] for row in connection.execute(_LEASE, values)]

    def depth(self) -> int:
        with self._store.connect() as connection:
            row = connection.execute("SELECT count(*) FROM jobs WHERE state <> 'done'").fetchone()
            return row[0] if row else 0

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        query = "SELECT id, result FROM jobs WHERE id = ANY(%s) AND result IS NOT NULL"
        with self._store.connect() as connection:
            return dict(connection.execute(query, (list(ids),)).fetchall())

    def effective_settings(self) -> Mapping[str, str]:
        return {
            "concurrency": "1 (processes only)",
            "psycopg": psycopg.__version__,
            **self._store.settings(),
        }

    def teardown(self) -> None:
        self._hang_up()
        self._store.drop()
