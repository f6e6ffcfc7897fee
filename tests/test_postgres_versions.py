"""The schema and its versions: migrations with live jobs, older code on the newer schema."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from distq.errors import ConfigurationError, SchemaError
from distq.ids import new_ids
from distq.job import Hold, JobState, Lease, OutcomeKind, Presence
from distq.postgres.queries import migrations
from distq.postgres.storage import PostgresStorage
from tests.contract.steps import QUEUE, WHY, add, keyed, make, record, settle, state, take
from tests.schemas import connection as connection
from tests.schemas import empty as empty
from tests.schemas import execute, long_ago
from tests.schemas import name as name
from tests.schemas import storage as storage

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
