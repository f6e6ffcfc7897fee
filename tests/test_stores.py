"""What is one store's own: plans, clocks, names, memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from distq import StorageUnavailable
from distq.ids import new_ids
from distq.job import NewJob, Outcome, OutcomeKind
from distq.postgres.storage import PostgresStorage

QUEUE = "mail"
ROWS = 50_000


@pytest.fixture
def schema(postgres_url: str) -> Iterator[tuple[PostgresStorage, psycopg.Connection, str]]:
    name = f"s{uuid.uuid4().hex[:12]}"
    storage = PostgresStorage(f"{postgres_url}?schema={name}")
    storage.migrate()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield storage, connection, name
    storage.close()


def jobs(count: int = 1, delay: float = 0.0) -> list[NewJob]:
    return [NewJob(job_id, QUEUE, "t", b"{}\n{}", delay) for job_id in new_ids(QUEUE, count)]


def tick(storage: Any) -> Any:
    return storage.run(storage.tick(QUEUE, limit=100, grace=60, outage=1e6, eager=True))


def cycle(storage: Any, limit: int) -> int:
    """Lease, extend and settle; returns how many jobs that were."""
    leases = storage.run(storage.lease(QUEUE, worker="w", limit=limit, ttl=60, alone=False))
    storage.run(storage.extend(leases, ttl=60))
    outcomes = [Outcome(lease.id, lease.token, OutcomeKind.DONE, b"1") for lease in leases]
    return len(storage.run(storage.settle(outcomes, keep=60)))


# -- PostgreSQL ----------------------------------------------------------------------------------------


def test_plans_made_on_an_empty_queue_do_not_scan_a_full_one(
    schema: tuple[PostgresStorage, psycopg.Connection, str],
) -> None:
    storage, connection, name = schema
    for _ in range(12):
        storage.run(storage.enqueue(jobs()))
        assert cycle(storage, 10) == 1
    connection.execute(f"VACUUM ANALYZE {name}.job, {name}.finished".encode())
    storage.run(storage.enqueue(jobs(ROWS)))
    before = scans(connection, name)
    assert cycle(storage, 200) == 200
    assert scans(connection, name) == before


def scans(connection: psycopg.Connection, name: str) -> int:
    """Sequential scans of the job table so far; statistics of other sessions come with a delay."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    query = "SELECT seq_scan FROM pg_stat_all_tables WHERE schemaname = %s AND relname = 'job'"
    row = connection.execute(query, (name,)).fetchone()
    assert row is not None
    return row[0]


def test_a_clock_that_was_set_back_does_not_stop_maintenance(
    schema: tuple[PostgresStorage, psycopg.Connection, str],
) -> None:
    storage, connection, name = schema
    connection.execute(f"UPDATE {name}.pulse SET ticked_at = now() + interval '1 hour'".encode())
    (job,) = jobs(delay=0.001)
    storage.run(storage.enqueue([job]))
    promoted = storage.run(storage.tick(QUEUE, limit=9, grace=60, outage=1e6)).promoted
    assert promoted == 1


def test_a_read_only_database_is_one_that_does_not_answer(
    schema: tuple[PostgresStorage, psycopg.Connection, str], postgres_url: str
) -> None:
    name = schema[2]
    read_only = "options=-c%20default_transaction_read_only%3Don"
    storage = PostgresStorage(f"{postgres_url}?schema={name}&{read_only}")
    with pytest.raises(StorageUnavailable, match="read-only"):
        storage.run(storage.enqueue(jobs()))
    storage.close()


def test_a_schema_may_have_a_reserved_word_for_its_name(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute('DROP SCHEMA IF EXISTS "user" CASCADE')
        storage = PostgresStorage(f"{postgres_url}?schema=user")
        storage.migrate()
        storage.run(storage.enqueue(jobs()))
        assert cycle(storage, 9) == 1
        storage.close()
        connection.execute('DROP SCHEMA "user" CASCADE')
