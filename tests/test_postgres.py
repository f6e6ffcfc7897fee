"""What is PostgreSQL's own: proxies, connections that are not opened, bounds of what is kept and searched."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
import pytest

from distq.errors import ConfigurationError, JobExists, StorageError
from distq.job import Conflict, Filter, Hold, JobState, OutcomeKind
from distq.postgres import administration
from distq.postgres.cursors import Statement
from distq.postgres.storage import PostgresStorage
from distq.storage import Op
from tests.contract.steps import QUEUE, WHY, add, keyed, make, record, settle, take, tick
from tests.helpers import eventually
from tests.schemas import connection as connection
from tests.schemas import empty as empty
from tests.schemas import execute
from tests.schemas import name as name
from tests.schemas import storage as storage

# -- connections -----------------------------------------------------------------------------------------


def test_a_proxy_may_pool_transactions(storage: PostgresStorage, postgres_url: str, name: str) -> None:
    proxied = PostgresStorage(f"{postgres_url}?schema={name}&prepare=off")
    for _ in range(7):
        add(proxied)
        settle(proxied, take(proxied), OutcomeKind.DONE)
    text = b"SELECT (SELECT count(*) FROM pg_prepared_statements), current_setting('enable_seqscan')"
    assert proxied.run(Op(Statement(text, {}), list)) == [(0, "on")]
    assert storage.run(Op(Statement(text, {}), list)) == [(1, "off")]
    proxied.close()
    with pytest.raises(ConfigurationError, match=r"\?prepare='maybe'"):
        PostgresStorage(f"{postgres_url}?prepare=maybe")


def test_a_refused_enqueue_costs_no_connection(storage: PostgresStorage) -> None:
    backend = Op(Statement(b"SELECT pg_backend_pid()", {}), list)
    storage.run(storage.enqueue([keyed()]))
    before = storage.run(backend)
    with pytest.raises(JobExists):
        storage.run(storage.enqueue([keyed(conflict=Conflict.ERROR)]))
    assert storage.run(backend) == before


def test_what_cannot_be_stored_is_refused_not_unavailable(storage: PostgresStorage) -> None:
    with pytest.raises(StorageError, match="index row"):
        storage.run(storage.enqueue([keyed(secrets.token_hex(8000))]))


# -- records ---------------------------------------------------------------------------------------------


def test_history_keeps_any_bytes(storage: PostgresStorage) -> None:
    (job_id,) = add(storage)
    errors = [bytes(range(256)) * 2, b"", b"\\000\\\\", "ß\n\0".encode(), b"x" * 2**20]
    for error in errors:
        settle(storage, take(storage), OutcomeKind.RETRY, body=error)
    settle(storage, take(storage), OutcomeKind.DEAD, body=b"\0" * (2**20 + 1))
    found = record(storage, job_id)
    assert [attempt.error for attempt in found.attempts] == [*errors, b""]
    assert found.body == b"\0" * (2**20 + 1)


def test_a_search_looks_at_no_more_than_its_span(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(administration, "SPAN", 4)
    ids = add(storage, 10)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    sizes, found, after = [], [], ""
    while after or not sizes:
        page = storage.run(storage.find(Filter(QUEUE, JobState.DEAD), after=after, limit=3))
        sizes.append(len(page.jobs))
        found += [job.id for job in page.jobs]
        after = page.after
    assert found == ids
    assert sizes == [3, 3, 3, 1]
    nothing = storage.run(storage.find(Filter(QUEUE, JobState.DEAD, text="no such"), limit=3))
    assert nothing.jobs == []
    assert nothing.after


def test_claims_watches_and_workers_do_not_pile_up(
    storage: PostgresStorage, connection: psycopg.Connection[Any], name: str
) -> None:
    storage.run(storage.enqueue([keyed("a"), keyed("b", seconds=3600), keyed("c", Hold.WINDOW, 0.001)]))
    later = make(2, delay=3600)
    storage.run(storage.enqueue(later))
    assert storage.run(storage.watch([job.id for job in later]))
    settle(storage, take(storage), OutcomeKind.DONE, keep=0.001)
    connection.autocommit = True
    execute(connection, name, "UPDATE distq.watch SET since = now() - interval '61 minutes'")

    def left() -> list[Any]:
        tick(storage)
        return execute(connection, name, "SELECT key, (SELECT count(*) FROM distq.watch) FROM distq.key")

    eventually(lambda: left() == [("b", 0)])
    assert not storage.run(storage.enqueue([keyed("b")]))[0].created
