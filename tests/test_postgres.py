"""What is PostgreSQL's own: transactions of the caller, the schema's versions, proxies, races of locks."""

from __future__ import annotations

import asyncio
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.string import TextBinaryLoader

from distq import DistQ, Job
from distq.errors import ConfigurationError, JobExists, JobNotFound, SchemaError, StorageError
from distq.ids import new_ids
from distq.job import Conflict, Enqueued, Filter, Hold, JobState, Lease, Outcome, OutcomeKind, Presence
from distq.postgres import administration
from distq.postgres.cursors import Statement
from distq.postgres.queries import migrations
from distq.postgres.storage import PostgresStorage
from distq.storage import Op
from tests.contract.steps import QUEUE, WHY, add, keyed, make, record, settle, state, take, tick
from tests.helpers import eventually


@pytest.fixture
def name() -> str:
    return f"p{uuid.uuid4().hex[:12]}"


@pytest.fixture
def empty(postgres_url: str, name: str) -> Iterator[PostgresStorage]:
    """A storage without its schema."""
    storage = PostgresStorage(f"{postgres_url}?schema={name}")
    yield storage
    storage.close()


@pytest.fixture
def storage(empty: PostgresStorage) -> PostgresStorage:
    empty.migrate()
    return empty


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the caller's."""
    with psycopg.connect(postgres_url) as connection:
        yield connection


def execute(connection: psycopg.Connection[Any], name: str, text: str, **parameters: Any) -> list[Any]:
    """Run a statement that is written for the schema `distq`."""
    cursor = connection.execute(text.replace("distq.", f"{name}.").encode(), parameters)
    return cursor.fetchall() if cursor.description else []


def concurrently(*calls: Callable[[], object]) -> list[Any]:
    """Run the calls at the same moment, in threads; returns their answers."""
    barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        barrier.wait()
        answers[number] = calls[number]()  # pyright: ignore[reportCallIssue]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# -- a transaction of the caller -------------------------------------------------------------------------


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


# -- the schema ------------------------------------------------------------------------------------------

V1_ENQUEUE = """
INSERT INTO distq.job (id, queue, task, payload, state, ready_at)
SELECT n.id, n.queue, n.task, n.payload,
       CASE WHEN n.delay > 0 THEN 'scheduled' ELSE 'ready' END::distq.job_state,
       now() + n.delay * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(queues)s::text[], %(tasks)s::text[], %(payloads)s::bytea[],
            %(delays)s::float8[])
     AS n (id, queue, task, payload, delay)
WHERE NOT EXISTS (SELECT FROM distq.finished f WHERE f.id = n.id)
ON CONFLICT (id) DO NOTHING
"""

V1_LEASE = """
WITH candidate AS MATERIALIZED (
    SELECT id FROM distq.job
    WHERE queue = %(queue)s AND state = 'ready' AND crashes = 0
    ORDER BY ready_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE distq.job
SET state = 'leased', token = %(token)s, worker = %(worker)s, leased_until = now() + interval '60 second'
WHERE id = ANY (ARRAY(SELECT id FROM candidate))
RETURNING translate(id::text, '-', '')
"""

V1_SETTLE = """
WITH outcome AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::uuid[], %(kinds)s::text[], %(bodies)s::bytea[],
                         %(delays)s::float8[])
                  AS o (id, token, kind, body, delay)
), ended AS (
    DELETE FROM distq.job j USING outcome o
    WHERE j.id = o.id AND j.token = o.token AND o.kind IN ('done', 'dead')
    RETURNING j.id, j.queue, j.task, j.payload, j.tries, j.crashes, j.enqueued_at, o.kind, o.body
), kept AS (
    INSERT INTO distq.finished (id, queue, task, payload, state, tries, crashes, body, enqueued_at,
                                expires_at)
    SELECT id, queue, task, CASE WHEN kind <> 'done' THEN payload END, kind::distq.job_state, tries, crashes,
           body, enqueued_at, CASE WHEN kind <> 'dead' THEN now() + interval '60 second' END
    FROM ended
    ON CONFLICT (id) DO NOTHING
), returned AS (
    UPDATE distq.job j
    SET state = CASE WHEN o.delay > 0 THEN 'scheduled' ELSE 'ready' END::distq.job_state,
        ready_at = CASE WHEN o.kind = 'release' THEN j.ready_at
                        ELSE now() + o.delay * interval '1 second' END,
        tries = j.tries + (o.kind = 'retry')::int,
        error = CASE WHEN o.body = '' THEN j.error ELSE o.body END,
        token = NULL, worker = NULL, leased_until = NULL
    FROM outcome o
    WHERE j.id = o.id AND j.token = o.token AND o.kind IN ('retry', 'snooze', 'release')
    RETURNING j.id
)
SELECT id FROM ended UNION ALL SELECT id FROM returned
"""


class VersionOne:
    """A worker and a client whose code is of version 1."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        connection.autocommit = True
        self.connection, self.name = connection, name
        self.token = uuid.uuid4().hex

    def enqueue(self, count: int, *, delay: float = 0.0) -> list[str]:
        ids = new_ids(QUEUE, count)
        columns: dict[str, list[Any]] = {"queues": [QUEUE], "tasks": ["app.old"], "payloads": [b"{}\n{1}"]}
        rows = {column: values * count for column, values in columns.items()}
        hexes, delays = [job_id[-32:] for job_id in ids], [delay] * count
        execute(self.connection, self.name, V1_ENQUEUE, ids=hexes, delays=delays, **rows)
        return ids

    def lease(self, limit: int) -> list[Lease]:
        rows = execute(
            self.connection, self.name, V1_LEASE, queue=QUEUE, token=self.token, worker="old", limit=limit
        )
        return [Lease(f"{QUEUE}:{row[0]}", self.token, "app.old", b"", 0, 0) for row in sorted(rows)]

    def settle(self, leases: list[Lease], kind: str, *, delay: float = 0.0) -> int:
        rows = execute(
            self.connection,
            self.name,
            V1_SETTLE,
            ids=[lease.id[-32:] for lease in leases],
            tokens=[lease.token for lease in leases],
            kinds=[kind] * len(leases),
            bodies=[b'{"type":"Old"}'] * len(leases),
            delays=[delay] * len(leases),
        )
        return len(rows)


@pytest.fixture
def old(empty: PostgresStorage, connection: psycopg.Connection[Any], name: str) -> VersionOne:
    """A schema of version 1, and one who works with it."""
    execute(connection, name, f"CREATE SCHEMA {name}")
    version = (
        "only_row boolean PRIMARY KEY DEFAULT true, version int, oldest_code int, migrated_at timestamptz"
    )
    execute(connection, name, f"CREATE TABLE distq.schema_version ({version})")
    execute(connection, name, "INSERT INTO distq.schema_version (version, oldest_code) VALUES (1, 1)")
    first, text = migrations(name)[0]
    assert first == "0001_jobs"
    connection.execute(text.encode())
    connection.commit()
    return VersionOne(connection, name)


def test_code_asks_for_the_migration(empty: PostgresStorage, old: VersionOne) -> None:
    with pytest.raises(SchemaError, match="is at version 1, this distq needs version 5"):
        add(empty)
    with pytest.raises(SchemaError, match="distq migrate"):
        empty.run(empty.enqueue(make()), old.connection)


def test_a_migration_keeps_live_jobs_of_every_state(empty: PostgresStorage, old: VersionOne) -> None:
    ids = old.enqueue(7)
    leases = old.lease(5)
    for lease, kind in zip(leases, ("done", "dead", "retry", "release"), strict=False):
        old.settle([lease], kind, delay=3600 * (kind == "retry"))
    execute(old.connection, old.name, "UPDATE distq.job SET crashes = 1 WHERE id = %(id)s", id=ids[6][-32:])
    (scheduled,) = old.enqueue(1, delay=3600)

    applied = [
        f"schema {old.name}: applied {name}"
        for name in ("0002_everyday", "0003_positions", "0004_vacuum", "0005_vitals")
    ]
    assert empty.migrate() == applied
    states = [state(empty, job_id) for job_id in [*ids, scheduled]]
    assert states == ["done", "dead", "scheduled", "ready", "leased", "ready", "ready", "scheduled"]
    dead, leased = record(empty, ids[1]), record(empty, ids[4])
    assert (dead.task, dead.payload, dead.body) == ("app.old", b"{}\n{1}", b'{"type":"Old"}')
    assert (dead.priority, dead.key, dead.attempts, dead.progress, dead.worker) == (0, "", (), b"", "")
    assert (leased.worker, leased.leased_at, leased.cancelling) == ("old", None, False)
    assert leased.leased_until is not None

    assert settle(empty, leases[4:], OutcomeKind.RETRY, body=WHY) == {ids[4]}
    assert [attempt.error for attempt in record(empty, ids[4]).attempts] == [WHY]
    assert empty.run(empty.replay([ids[1]])) == {ids[1]}
    rest = take(empty, alone=True) + take(empty)
    assert {lease.id for lease in rest} == {ids[n] for n in (1, 3, 4, 5, 6)}
    assert settle(empty, rest, OutcomeKind.DONE) == {lease.id for lease in rest}
    assert set(empty.run(empty.cancel([ids[2], scheduled], reason=WHY)).values()) == {JobState.CANCELLED}


def test_code_of_version_one_works_with_the_migrated_schema(empty: PostgresStorage, old: VersionOne) -> None:
    empty.migrate()
    mine, theirs = add(empty, 3, priority=2), old.enqueue(3)
    (lease,) = old.lease(1)
    assert lease.id == mine[0]
    assert old.settle([lease], "retry") == 1
    leases = old.lease(6)
    assert {lease.id for lease in leases} == {*mine, *theirs}
    assert empty.run(empty.extend(leases, ttl=60)).ours == {*mine, *theirs}
    assert old.settle(leases[:2], "done") + old.settle(leases[2:4], "dead") == 4
    assert settle(empty, leases[4:], OutcomeKind.DONE) == {lease.id for lease in leases[4:]}
    assert empty.run(empty.counts(QUEUE)) == {JobState.DONE: 4, JobState.DEAD: 2}


def test_what_code_of_version_one_ends_frees_its_key(empty: PostgresStorage, old: VersionOne) -> None:
    empty.migrate()
    jobs = [keyed("a"), keyed("b", Hold.WAITING)]
    empty.run(empty.enqueue(jobs))
    leases = old.lease(2)
    assert not empty.run(empty.enqueue([keyed("a")]))[0].created
    assert empty.run(empty.enqueue([keyed("b")]))[0].created
    old.settle(leases, "done")
    assert empty.run(empty.enqueue([keyed("a")]))[0].created


V4_ANNOUNCE = """
WITH forgotten AS (
    DELETE FROM distq.worker WHERE name = ANY (ARRAY(
        SELECT name FROM distq.worker WHERE seen_at < now() - interval '1 day' AND name <> %(worker)s
        FOR UPDATE SKIP LOCKED
    ))
)
INSERT INTO distq.worker (name, host, pid, queues, tasks)
VALUES (%(worker)s, 'host', 1, '{mail}', '{app.old}')
ON CONFLICT (name) DO UPDATE
SET host = excluded.host, pid = excluded.pid, queues = excluded.queues, tasks = excluded.tasks,
    seen_at = now()
RETURNING name
"""
V4_LEAVE = "DELETE FROM distq.worker WHERE name = %(worker)s RETURNING name"


def long_ago(connection: psycopg.Connection[Any], name: str) -> None:
    """All worker processes were last seen two days ago."""
    execute(connection, name, "UPDATE distq.worker SET seen_at = now() - interval '2 days'")


def test_code_of_version_four_announces_itself_and_forgets_no_tallies(
    storage: PostgresStorage, connection: psycopg.Connection[Any], name: str
) -> None:
    connection.autocommit = True
    done = {"mail": {"done": 3}}
    for new in ("new1", "new2"):
        storage.run(storage.announce(Presence(new, "host", 1, (), (), 0.0, b"{}", done)))
    execute(connection, name, V4_LEAVE, worker="new1")
    long_ago(connection, name)
    for _ in range(2):
        execute(connection, name, V4_ANNOUNCE, worker="old")
    assert storage.run(storage.tallies()) == {"mail": {"done": 6}}
    (old,) = storage.run(storage.workers(within=60))
    assert old._replace(seen=0) == Presence("old", "host", 1, ("mail",), ("app.old",))
    storage.run(storage.leave("old"))
    assert storage.run(storage.tallies()) == {"mail": {"done": 6}}


def test_everything_in_the_schema_is_explained(
    storage: PostgresStorage, connection: psycopg.Connection[Any], name: str
) -> None:
    missing = connection.execute(
        "SELECT c.relname, a.attname"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0"
        " WHERE c.relnamespace = %s::regnamespace AND c.relkind IN ('r', 'v') AND NOT a.attisdropped"
        " AND c.relname <> 'schema_version'"
        " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)",
        (name,),
    ).fetchall()
    assert missing == []


def test_a_schemas_name_leaves_room_for_its_channels() -> None:
    PostgresStorage(f"postgresql://h/d?schema={'a' * 50}")
    with pytest.raises(ConfigurationError, match="cannot name a schema"):
        PostgresStorage(f"postgresql://h/d?schema={'a' * 51}")


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


# -- races -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OutcomeKind.DONE, OutcomeKind.RETRY, OutcomeKind.RELEASE])
def test_a_cancel_that_races_with_a_settle_is_not_lost(storage: PostgresStorage, kind: OutcomeKind) -> None:
    ids = add(storage, 200)
    leases = take(storage, 200)
    outcomes = [
        Outcome(lease.id, lease.token, kind if number % 2 else OutcomeKind.DONE)
        for number, lease in enumerate(leases)
    ]
    settled, asked = concurrently(
        lambda: storage.run(storage.settle(outcomes, keep=60)),
        lambda: storage.run(storage.cancel(ids[::-1], reason=WHY)),
    )
    assert settled == set(ids)
    for job_id in asked:
        assert state(storage, job_id) in (JobState.CANCELLED, JobState.DONE)
    assert {lease.id for lease in take(storage, 500)}.isdisjoint(asked)


def test_a_replay_and_an_enqueue_do_not_share_a_key(storage: PostgresStorage) -> None:
    for number in range(20):
        dead, new = keyed(f"k{number}"), keyed(f"k{number}")
        storage.run(storage.enqueue([dead]))
        settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
        replayed, (answer,) = concurrently(
            lambda dead=dead: storage.run(storage.replay([dead.id])),
            lambda new=new: storage.run(storage.enqueue([new])),
        )
        (lease,) = take(storage)
        assert (replayed, answer, lease.id) in [
            ({dead.id}, Enqueued(dead.id, False), dead.id),
            (set(), Enqueued(new.id, True), new.id),
        ]
        settle(storage, [lease], OutcomeKind.DONE)


def test_of_racing_replacements_one_is_left_and_all_are_told_of_it(storage: PostgresStorage) -> None:
    for _ in range(20):
        jobs = [keyed(conflict=Conflict.REPLACE) for _ in range(4)]
        storage.run(storage.enqueue([keyed(conflict=Conflict.REPLACE)]))
        answers = concurrently(*[lambda job=job: storage.run(storage.enqueue([job])) for job in jobs])
        (lease,) = take(storage)
        assert Enqueued(lease.id, True) in [answer for (answer,) in answers]
        assert {answer.id for (answer,) in answers} <= {job.id for job in jobs}
        settle(storage, [lease], OutcomeKind.DONE)


def test_two_prunes_forget_no_more_than_they_should(storage: PostgresStorage) -> None:
    ids = add(storage, 100)
    for part in (take(storage, 50), take(storage, 50)):
        settle(storage, part, OutcomeKind.DEAD, body=WHY)
    prune = storage.prune(QUEUE, JobState.DEAD, older=1e6, beyond=50, limit=40)
    counts = concurrently(*[lambda: storage.run(prune)] * 4)
    counts.append(storage.run(prune))
    assert sum(counts) == 50
    assert all(storage.run(storage.get(job_id)) for job_id in ids[50:])


def test_processes_that_wake_after_a_day_and_end_do_not_wait_for_each_other_in_a_circle(
    storage: PostgresStorage, connection: psycopg.Connection[Any], name: str, postgres_url: str
) -> None:
    """Each announces itself, forgets others and locks totals; some are said to have ended at that moment.
    On connections of the caller's nothing is tried again.
    """
    connection.autocommit = True
    queues = [f"q{number}" for number in range(6)]

    def announce(number: int) -> Op[None]:
        turned = queues[number:] + queues[:number]
        tallies = {queue: {"done": 1, "dead": 1} for queue in turned}
        return storage.announce(Presence(f"w{number}", "host", 1, (), (), 0.0, b"", tallies))

    def done() -> int:
        return sum(kinds["done"] for kinds in storage.run(storage.tallies()).values())

    ops = [*map(announce, range(6)), *[storage.leave(f"w{number}") for number in range(0, 6, 2)]]
    with ExitStack() as stack:
        connect = partial(psycopg.connect, postgres_url, autocommit=True)
        own = [stack.enter_context(connect()) for _ in ops]
        calls = [lambda op=op, on=on: storage.run(op, on) is None for op, on in zip(ops, own, strict=True)]
        for _ in range(15):
            for op in ops[:6]:
                storage.run(op)
            long_ago(connection, name)
            before = done()
            assert concurrently(*calls) == [True] * len(calls)
            # Who was forgotten, and then announces itself, is another process.
            assert before <= done() <= before + 36


def test_a_frozen_worker_settles_nothing_after_a_cancel(storage: PostgresStorage) -> None:
    (job_id,) = add(storage)
    frozen = take(storage)
    storage.run(storage.cancel([job_id], reason=WHY))
    storage.run(storage.forfeit(QUEUE, worker="w1", begun=()))
    assert state(storage, job_id) is JobState.CANCELLED
    storage.run(storage.replay([job_id]))
    assert settle(storage, frozen, OutcomeKind.DONE) == set()
    assert storage.run(storage.extend(frozen, ttl=60)).ours == set()
    assert state(storage, job_id) is JobState.READY
