"""What the doctor finds: on servers that are set up badly, in queues that are stuck, in applications."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis

from distq import DistQ
from distq.admin import doctor
from distq.admin.doctor import diagnose
from distq.connect import connect
from distq.finding import Finding, Severity
from distq.job import OutcomeKind, Presence
from distq.postgres import examination as postgres_examination
from distq.postgres.indexes import expected_indexes
from distq.postgres.listener import PostgresListener
from distq.postgres.wishes import WISHES, Wish
from distq.redis import examination as redis_examination
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, settle, take
from tests.pooler import Pooler
from tests.stores import app as app

OK, NOTE, WARNING, PROBLEM = Severity


def one(findings: list[Finding], words: str) -> Finding:
    """The finding that says so, of which there is one."""
    found = [finding for finding in findings if words in finding.what]
    assert len(found) == 1, findings
    return found[0]


# -- PostgreSQL ------------------------------------------------------------------------------------------


@pytest.fixture
def schema() -> str:
    return f"d{uuid.uuid4().hex[:12]}"


@pytest.fixture
def postgres(postgres_url: str, schema: str) -> Iterator[Storage]:
    storage = connect(f"{postgres_url}?schema={schema}")
    storage.migrate()
    yield storage
    storage.close()


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def execute(connection: psycopg.Connection[Any], text: str) -> list[Any]:
    cursor = connection.execute(text.encode())
    return cursor.fetchall() if cursor.description else []


def test_the_schema_is_missing(postgres_url: str, schema: str) -> None:
    findings = connect(f"{postgres_url}?schema={schema}").examine()
    found = one(findings, f"schema {schema}: does not exist")
    assert (found.severity, found.remedy) == (PROBLEM, "distq migrate")


@pytest.mark.parametrize(
    ("version", "oldest", "words", "severity", "remedy"),
    [
        (1, 1, "is at version 1", PROBLEM, "distq migrate"),
        (9, 1, "is at version 9", NOTE, "pip install --upgrade distq"),
        (9, 9, "too new", PROBLEM, "pip install --upgrade distq"),
    ],
)
def test_the_schema_is_of_another_version(
    postgres: Storage,
    connection: psycopg.Connection[Any],
    schema: str,
    version: int,
    oldest: int,
    words: str,
    severity: Severity,
    remedy: str,
) -> None:
    execute(connection, f"UPDATE {schema}.schema_version SET version = {version}, oldest_code = {oldest}")
    found = one(postgres.examine(), f"schema {schema}: {words}")
    assert (found.severity, found.remedy) == (severity, remedy)


def test_the_expected_indexes_are_those_that_the_migrations_make(
    postgres: Storage, connection: psycopg.Connection[Any], schema: str
) -> None:
    rows = execute(connection, f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}'")
    assert set(expected_indexes(schema)) == {name for (name,) in rows} - {"schema_version_pkey"}
    assert one(postgres.examine(), "indexes: ").severity is OK


@pytest.mark.parametrize("index", ["job_ready", "finished_ended", "job_pkey", "key_pkey"])
def test_a_missing_index_is_made_by_its_remedy(
    postgres: Storage, connection: psycopg.Connection[Any], schema: str, index: str
) -> None:
    table = index.split("_")[0]
    dropped = f"ALTER TABLE {schema}.{table} DROP CONSTRAINT {index}"
    execute(connection, dropped if index.endswith("pkey") else f"DROP INDEX {schema}.{index}")
    found = one(postgres.examine(), f"index {index}: is missing")
    assert found.severity is PROBLEM
    execute(connection, found.remedy)
    assert one(postgres.examine(), "indexes: ").severity is OK


def test_an_invalid_index_is_mended_by_its_remedy(
    postgres: Storage, connection: psycopg.Connection[Any], schema: str
) -> None:
    execute(
        connection,
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{schema}.job_ready'::regclass",
    )
    found = one(postgres.examine(), "index job_ready: is invalid")
    assert found.severity is PROBLEM
    execute(connection, found.remedy)
    assert one(postgres.examine(), "indexes: ").severity is OK


def test_autovacuum_is_off_for_a_table(
    postgres: Storage, connection: psycopg.Connection[Any], schema: str
) -> None:
    execute(connection, f"ALTER TABLE {schema}.job SET (autovacuum_enabled = off)")
    found = one(postgres.examine(), "table job: autovacuum passes it over")
    assert found.severity is PROBLEM
    execute(connection, found.remedy)
    assert not any("table job" in finding.what for finding in postgres.examine())


@pytest.mark.parametrize(
    ("name", "value", "severity"),
    [
        ("synchronous_commit", "off", WARNING),
        ("default_transaction_isolation", "serializable", PROBLEM),
        ("default_transaction_read_only", "on", PROBLEM),
    ],
)
def test_a_setting_of_the_connection_is_bad(
    postgres: Storage, postgres_url: str, schema: str, name: str, value: str, severity: Severity
) -> None:
    storage = connect(f"{postgres_url}?schema={schema}&options=-c%20{name}%3D{value}")
    found = one(storage.examine(), f"setting {name}: is {value}")
    assert found.severity is severity
    assert f"{name} =" in found.remedy


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.name)
def test_each_wish_is_looked_at(postgres: Storage, monkeypatch: pytest.MonkeyPatch, wish: Wish) -> None:
    """The server's own settings cannot be changed here: what is good is said to be something else."""
    monkeypatch.setattr(postgres_examination, "WISHES", [wish._replace(good=("perfect",))])
    found = one(postgres.examine(), f"setting {wish.name}: is {wish.good[0]}")
    assert (found.severity, found.why, found.remedy) == (wish.severity, wish.why, wish.remedy)


def test_notify_does_not_arrive(postgres: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(PostgresListener):
        """Connected to the server, though to another process than the one that it listened with."""

        def _connect(self) -> psycopg.Connection:
            connection = super()._connect()
            connection.execute("UNLISTEN *")
            return connection

    monkeypatch.setattr(postgres_examination, "PostgresListener", Deaf)
    monkeypatch.setattr(postgres_examination, "ARRIVAL_S", 0.1)
    found = one(postgres.examine(), "wake-ups: NOTIFY does not arrive, so polling is used")
    assert found.severity is WARNING


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_a_pooler_of_transactions_is_noticed(
    postgres: Storage, pooler: Pooler, schema: str, prepare: str
) -> None:
    url = f"{pooler.url}?user=any&schema={schema}&prepare={prepare}"
    findings = connect(url).examine()
    assert one(findings, "wake-ups: NOTIFY does not arrive").severity is WARNING
    found = one(findings, "pooler: there is one in between")
    assert (found.severity, found.remedy) == (
        (WARNING, "add ?prepare=off to the URL") if prepare == "on" else (OK, "")
    )


@pytest.mark.parametrize(("ahead", "words"), [(60, "ahead of"), (-60, "behind")])
def test_the_clocks_differ(
    postgres: Storage, monkeypatch: pytest.MonkeyPatch, ahead: float, words: str
) -> None:
    clock = SimpleNamespace(time=lambda: time.time() - ahead)
    monkeypatch.setattr(postgres_examination, "time", clock)
    found = one(postgres.examine(), "clocks: ")
    assert (found.severity, f"60.0 s {words}" in found.what) == (WARNING, True)


def test_a_transaction_is_open_for_long(
    postgres: Storage, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_examination, "LONG_S", 0)
    with psycopg.connect(postgres_url, application_name="forgotten") as connection:
        connection.execute("SELECT 1")
        found = one(postgres.examine(), "forgotten")
        assert found.severity is WARNING
        assert "idle in transaction" in found.what
        assert f"pg_terminate_backend({connection.info.backend_pid})" in found.remedy
        connection.rollback()


def test_few_connections_are_left(postgres: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(postgres.examine(), "connections: ").severity is OK
    monkeypatch.setattr(postgres_examination, "FEW_CONNECTIONS", 10_000)
    assert one(postgres.examine(), "connections: ").severity is WARNING


def test_what_one_may_not_see_is_said(
    postgres: Storage, connection: psycopg.Connection[Any], postgres_url: str, schema: str
) -> None:
    role = f"stranger_{secrets.token_hex(4)}"
    execute(connection, f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    url = f"{postgres_url}?schema={schema}&user={role}&password={role}"
    try:
        findings = connect(url).examine()
    finally:
        execute(connection, f"DROP ROLE {role}")
    assert one(findings, "schema: could not be looked at: permission denied").severity is NOTE
    assert "GRANT pg_monitor" in one(findings, "transactions: could not be looked at").what
    assert one(findings, "wake-ups: NOTIFY arrives").severity is OK


# -- Redis -----------------------------------------------------------------------------------------------


@pytest.fixture
def prefix() -> str:
    return f"d{uuid.uuid4().hex[:12]}"


@pytest.fixture
def storage(redis_url: str, prefix: str) -> Iterator[Storage]:
    storage = connect(f"{redis_url}?prefix={prefix}")
    storage.migrate()
    yield storage
    storage.close()


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A client, after which the server is set up as it was."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        names = ("maxmemory-policy", "maxmemory", "appendonly", "appendfsync", "save")
        before = {name: client.config_get(name)[name] for name in names}
        yield client
        for name, value in before.items():
            client.config_set(name, value)


@pytest.mark.parametrize(
    ("settings", "words", "severity"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "eviction: maxmemory-policy is allkeys-lru", PROBLEM),
        ({"maxmemory": "64mb"}, "MiB are used", OK),
        ({"appendfsync": "no"}, "persistence: AOF, appendfsync no", WARNING),
        ({"appendfsync": "always"}, "persistence: AOF, appendfsync always", OK),
        ({"appendonly": "no", "save": "3600 1"}, "persistence: snapshots only", WARNING),
        ({"appendonly": "no", "save": ""}, "persistence: none", PROBLEM),
    ],
)
def test_the_servers_settings(
    storage: Storage, client: Any, settings: dict[str, str], words: str, severity: Severity
) -> None:
    for name, value in settings.items():
        client.config_set(name, value)
    found = one(storage.examine(), words)
    assert found.severity is severity
    assert bool(found.remedy) is (severity is not OK)


def test_the_memory_is_nearly_full(storage: Storage, client: Any) -> None:
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.1))
    assert one(storage.examine(), "MiB are used").severity is WARNING


def test_the_last_write_failed(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    info = redis.Redis.info

    def broken(self: Any, section: str) -> Any:
        return {**info(self, section), "aof_last_write_status": "err"}

    monkeypatch.setattr(redis.Redis, "info", broken)
    assert one(storage.examine(), "persistence: the last write of the AOF failed").severity is PROBLEM


@pytest.mark.parametrize(
    ("version", "words", "severity"),
    [
        ({"version": 1}, "are of version 1", PROBLEM),
        ({"version": 9}, "are of version 9", NOTE),
        ({"version": 9, "oldest_code": 9}, "too new", PROBLEM),
    ],
)
def test_the_keys_are_of_another_version(
    storage: Storage, client: Any, prefix: str, version: dict[str, int], words: str, severity: Severity
) -> None:
    client.hset(f"{prefix}:meta", mapping=version)
    assert one(storage.examine(), f"keys {prefix}:*: {words}").severity is severity


def test_what_the_user_may_not_do_is_said(client: Any, redis_url: str, prefix: str) -> None:
    name = f"u{secrets.token_hex(4)}"
    rights = ("on", f">{name}", "~*", "resetchannels", "+@all", "-info", "-config")
    client.execute_command("ACL", "SETUSER", name, *rights)
    place = redis_url.partition("://")[2].rpartition("@")[2]
    try:
        findings = connect(f"redis://{name}:{name}@{place}?prefix={prefix}").examine()
    finally:
        client.execute_command("ACL", "DELUSER", name)
    assert one(findings, "persistence: could not be looked at").severity is NOTE
    assert one(findings, "server: could not be looked at").severity is NOTE
    assert one(findings, "wake-ups").severity in (NOTE, WARNING)
    assert one(findings, "clocks: ").severity is OK


def test_published_messages_do_not_arrive(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_examination, "ARRIVAL_S", 0.1)
    monkeypatch.setattr(redis.Redis, "publish", lambda *_: 0)
    assert one(storage.examine(), "wake-ups: publish does not arrive").severity is WARNING


# -- what waits, and who is there ------------------------------------------------------------------------


def announce(app: DistQ, *tasks: str, queues: tuple[str, ...] = (QUEUE,)) -> None:
    app.storage.run(app.storage.announce(Presence("w1", "host", 1, queues, tasks)))


def test_nothing_is_stuck(app: DistQ) -> None:
    add(app.storage)
    announce(app, "app.task")
    assert one(diagnose(app.storage), "nothing is stuck").severity is OK


def test_nobody_serves_a_queue(app: DistQ) -> None:
    add(app.storage, 3)
    found = one(diagnose(app.storage), "queue mail: no live worker serves it, and 3 jobs could run")
    assert (found.severity, found.remedy) == (PROBLEM, "distq worker MODULE:APP --queues mail")


def test_a_queue_is_paused(app: DistQ) -> None:
    add(app.storage)
    announce(app, "app.task")
    app.queue(QUEUE).pause()
    found = one(diagnose(app.storage), "queue mail is paused, and 1 job could run")
    assert (found.severity, found.remedy) == (WARNING, "distq resume mail")


def test_nobody_knows_a_task(app: DistQ) -> None:
    add(app.storage, 3)
    announce(app, "app.other")
    found = one(diagnose(app.storage), "task app.task: 3 of the next 3 jobs of queue mail are of it")
    assert found.severity is PROBLEM


def test_nobody_knows_a_task_that_was_put_off(app: DistQ) -> None:
    add(app.storage, 2, delay=5)
    add(app.storage, delay=3600)
    announce(app, "app.other")
    assert one(diagnose(app.storage), "task app.task: 2 of the next 2 jobs of queue mail are of it")


def test_many_jobs_are_dead(app: DistQ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MANY_DEAD", 3)
    add(app.storage, 2)
    settle(app.storage, take(app.storage), OutcomeKind.DEAD)
    assert one(diagnose(app.storage), "nothing is stuck")
    add(app.storage)
    settle(app.storage, take(app.storage), OutcomeKind.DEAD)
    assert one(diagnose(app.storage), "queue mail: 3 jobs are dead").severity is WARNING


def test_without_a_schema_the_storage_alone_is_examined(postgres_url: str, schema: str) -> None:
    findings = diagnose(connect(f"{postgres_url}?schema={schema}"), DistQ("memory://"))
    assert one(findings, "does not exist").severity is PROBLEM
    assert not any("queue" in finding.what for finding in findings)


# -- an application --------------------------------------------------------------------------------------


@pytest.fixture
def shop() -> DistQ:
    app = DistQ("memory://")

    @app.task(name="send", queue=QUEUE, timeout=10)
    def send() -> None: ...

    @app.task(name="sum", queue="bulk", timeout=20)
    def add_up() -> None: ...

    return app


def test_an_application_that_fits(shop: DistQ) -> None:
    announce(shop, "send", "sum", queues=(QUEUE, "bulk"))
    findings = diagnose(shop.storage, shop)
    assert [finding for finding in findings if "application" in finding.what] == []
    found = one(findings, "timeouts: the longest is 20 s, of task sum; leases of 30 s are renewed")
    assert found.severity is OK


def test_an_application_whose_workers_are_missing_or_old(shop: DistQ) -> None:
    announce(shop, "other", queues=(QUEUE,))
    findings = diagnose(shop.storage, shop)
    found = one(findings, "no live worker serves its queues bulk")
    assert (found.severity, found.remedy) == (WARNING, "distq worker MODULE:APP --queues bulk")
    assert one(findings, "no live worker knows its tasks send").severity is WARNING


def test_timeouts_that_matter(shop: DistQ) -> None:
    @shop.task(name="long", timeout=300)
    def long() -> None: ...

    @shop.task(name="endless")
    def endless() -> None: ...

    findings = diagnose(shop.storage, shop)
    assert one(findings, "tasks without one are endless").severity is NOTE
    found = one(findings, "the longest is 5 min, of task long, longer than the grace time of 30 s")
    assert (found.severity, found.remedy) == (NOTE, "distq worker --grace 300")
