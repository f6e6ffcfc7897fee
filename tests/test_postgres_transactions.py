"""Jobs in a transaction of the caller's."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.string import TextBinaryLoader

from distq import DistQ, Job
from distq.errors import ConfigurationError, JobExists, JobNotFound, SchemaError
from distq.job import Conflict, Enqueued, Hold, JobState, Outcome, OutcomeKind
from distq.postgres.storage import PostgresStorage
from tests.contract.steps import QUEUE, add, keyed, make, settle, take
from tests.schemas import connection as connection
from tests.schemas import empty as empty
from tests.schemas import execute
from tests.schemas import name as name
from tests.schemas import storage as storage


def test_a_job_is_there_with_the_commit(
    storage: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    undone, done = make(2)
    storage.run(storage.enqueue([undone]), connection)
    connection.rollback()
    assert storage.run(storage.enqueue([done]), connection) == [Enqueued(done.id, True)]
    assert take(storage) == []
    connection.commit()
    assert [lease.id for lease in take(storage)] == [done.id]


def test_a_job_is_there_with_the_commit_of_a_coroutine(storage: PostgresStorage, postgres_url: str) -> None:
    undone, done = make(2)

    async def enqueue() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await storage.arun(storage.enqueue([undone]), connection)
            await connection.rollback()
            await storage.arun(storage.enqueue([done]), connection)
            assert take(storage) == []

    asyncio.run(enqueue())
    assert [lease.id for lease in take(storage)] == [done.id]


def test_the_hint_comes_with_the_commit(
    storage: PostgresStorage, name: str, connection: psycopg.Connection[Any], postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        ear.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))
        storage.run(storage.enqueue(make()), connection)
        assert list(ear.notifies(timeout=0.05)) == []
        connection.commit()
        (notice,) = ear.notifies(timeout=5, stop_after=1)
        assert notice.payload.partition("@")[0] == QUEUE


def test_a_statement_wakes_once_however_many_jobs_it_adds(
    storage: PostgresStorage, name: str, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as ear:
        ear.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))
        storage.run(storage.enqueue([*make(1000), *make(3, queue="other")]))
        ear.execute(sql.SQL("NOTIFY {}, 'last'").format(sql.Identifier(name)))
        heard = [notice.payload.partition("@")[0] for notice in ear.notifies(timeout=5, stop_after=3)]
        assert sorted(heard) == sorted(["last", QUEUE, "other"])


def test_only_a_lease_does_not_wait_for_the_disk(
    storage: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    def synced() -> str:
        return execute(connection, "public", "SHOW synchronous_commit")[0][0]

    storage.run(storage.enqueue(make()), connection)
    assert synced() == "on"
    (lease,) = storage.run(storage.lease(QUEUE, worker="w1", limit=1, ttl=60, alone=False), connection)
    assert synced() == "off"
    connection.commit()
    storage.run(storage.settle([Outcome(lease.id, lease.token, OutcomeKind.DONE)], keep=60), connection)
    assert synced() == "on"


class _Shouting(TextBinaryLoader):
    def load(self, data: Any) -> Any:
        return super().load(data).upper()


def test_a_task_is_enqueued_in_the_callers_transaction(
    storage: PostgresStorage, connection: psycopg.Connection[Any], postgres_url: str
) -> None:
    app = DistQ(postgres_url)
    app.storage = storage

    @app.task(queue=QUEUE)
    def send() -> None: ...

    undone = send.options(connection=connection).enqueue()
    connection.rollback()
    done = send.options(connection=connection, key="k").enqueue()
    assert take(storage) == []
    connection.commit()

    async def enqueue() -> Job[None]:
        async with await psycopg.AsyncConnection.connect(postgres_url) as own:
            with pytest.raises(ConfigurationError, match="AsyncConnection is needed"):
                await send.options(connection=connection).aenqueue()
            return await send.options(connection=own).aenqueue()

    assert [lease.id for lease in take(storage)] == [done.id]
    also_done = asyncio.run(enqueue())
    assert [lease.id for lease in take(storage)] == [also_done.id]
    with pytest.raises(JobNotFound):
        undone.result(timeout=0)


@pytest.mark.parametrize("autocommit", [True, False])
def test_how_the_callers_connection_is_set_up_plays_no_part(
    storage: PostgresStorage, postgres_url: str, autocommit: bool
) -> None:
    (job,) = make()
    with psycopg.connect(postgres_url, autocommit=autocommit, row_factory=dict_row) as connection:
        connection.adapters.register_loader("text", _Shouting)
        connection.adapters.register_loader("uuid", _Shouting)
        assert storage.run(storage.enqueue([job]), connection) == [Enqueued(job.id, True)]
        found = storage.run(storage.get(job.id), connection)
        assert found is not None
        assert (found.id, found.task, found.state) == (job.id, job.task, JobState.READY)
        for _ in range(7):
            storage.run(storage.counts(QUEUE), connection)
        row = connection.execute("SELECT count(*) AS n FROM pg_prepared_statements").fetchone()
        assert row == {"n": 0}
        assert connection.execute("SHOW enable_seqscan").fetchone() == {"enable_seqscan": "on"}


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_refused_enqueue_leaves_the_transaction_usable(
    storage: PostgresStorage, connection: psycopg.Connection[Any], autocommit: bool
) -> None:
    first, error, other = keyed(), keyed(conflict=Conflict.ERROR), keyed("other")
    storage.run(storage.enqueue([first]))
    connection.autocommit = autocommit
    with connection.transaction():
        storage.run(storage.enqueue([other]), connection)
        with pytest.raises(JobExists, match=first.id):
            storage.run(storage.enqueue([*make(), error]), connection)
        connection.execute("SELECT 1")
    assert {lease.id for lease in take(storage)} == {first.id, other.id}


def test_a_guarded_enqueue_commits_nothing(
    storage: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    job = keyed(conflict=Conflict.ERROR)
    storage.run(storage.enqueue([job]), connection)
    connection.rollback()
    assert take(storage) == []
    connection.autocommit = True
    storage.run(storage.enqueue([job]), connection)
    with pytest.raises(JobExists):
        storage.run(storage.enqueue([keyed(conflict=Conflict.ERROR)]), connection)
    assert [lease.id for lease in take(storage)] == [job.id]


def test_a_refused_enqueue_leaves_a_coroutines_transaction_usable(
    storage: PostgresStorage, postgres_url: str
) -> None:
    first, error, other = keyed(), keyed(conflict=Conflict.ERROR), keyed("other")
    storage.run(storage.enqueue([first]))

    async def enqueue() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            with pytest.raises(JobExists, match=first.id):
                await storage.arun(storage.enqueue([error]), connection)
            await storage.arun(storage.enqueue([other]), connection)
            assert len(take(storage)) == 1

    asyncio.run(enqueue())
    assert [lease.id for lease in take(storage)] == [other.id]


def test_a_connection_of_another_kind_is_refused(
    storage: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"a psycopg\.Connection is needed here, not a builtins\.str"
    ):
        storage.run(storage.enqueue(make()), "no connection")
    with pytest.raises(ConfigurationError, match=r"psycopg\.AsyncConnection is needed"):
        asyncio.run(storage.arun(storage.enqueue(make()), connection))


def test_a_schema_that_is_not_there_is_told_on_a_callers_connection(
    empty: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(SchemaError, match="distq migrate"):
        empty.run(empty.enqueue(make()), connection)


def test_time_in_a_long_transaction_goes_on(
    storage: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    """A job is enqueued when its statement arrives, not when the transaction began."""
    connection.execute("SELECT now()")
    (before,) = add(storage)
    (job,) = make()
    storage.run(storage.enqueue([job]), connection)
    connection.commit()
    assert [lease.id for lease in take(storage)] == [before, job.id]


def test_who_ends_jobs_waits_for_nobody_who_asks_for_a_key(
    storage: PostgresStorage, connection: psycopg.Connection[Any]
) -> None:
    jobs = [keyed("a"), keyed("b", Hold.WAITING)]
    storage.run(storage.enqueue(jobs))
    for key in "ab":
        storage.run(storage.enqueue([keyed(key)]), connection)
    leases = take(storage)
    assert settle(storage, leases, OutcomeKind.DONE) == {job.id for job in jobs}
    assert storage.run(storage.enqueue([keyed("a")]))[0].created
    connection.rollback()
