"""Looks for what, in how a PostgreSQL server is set up, could lose jobs, stop them or slow them down."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
from psycopg import errors

from distq.finding import Finding, Severity, clock, hints, unseen
from distq.postgres import schema
from distq.postgres.indexes import expected_indexes
from distq.postgres.listener import PostgresListener
from distq.postgres.queries import query
from distq.postgres.target import Target
from distq.postgres.wishes import WISHES

OLDEST_SERVER = 15

ARRIVAL_S = 1.0
"""How long a NOTIFY may take."""

LONG_S = 60.0
"""For how long a transaction may be open: no vacuum removes what dies meanwhile."""

FEW_CONNECTIONS = 10
"""Free connections that a pool of five processes needs."""

Connection = psycopg.Connection[Any]


def examine(target: Target) -> list[Finding]:
    """Make all checks on a connection of its own. Raises StorageUnavailable."""
    with target.translated(), psycopg.Connection.connect(**target.arguments) as connection:
        return [
            finding for what, check in _CHECKS.items() for finding in _made(what, check, connection, target)
        ]


def _made(
    what: str, check: Callable[[Connection, Target], list[Finding]], connection: Connection, target: Target
) -> list[Finding]:
    try:
        return check(connection, target)
    except psycopg.Error as error:
        if connection.closed:
            raise
        return [unseen(what, error)]


def _rows(connection: Connection, name: str, target: Target, **parameters: Any) -> list[tuple[Any, ...]]:
    text = query(f"examine_{name}", target.schema)
    return connection.execute(text, parameters, prepare=False).fetchall()


def _server(connection: Connection, _: Target) -> list[Finding]:
    major, minor = divmod(connection.info.server_version, 10_000)
    if major >= OLDEST_SERVER:
        return [Finding(Severity.OK, f"server: PostgreSQL {major}.{minor}")]
    why = "the statements of distq need a newer one"
    return [
        Finding(Severity.PROBLEM, f"server: PostgreSQL {major}.{minor}", why, "upgrade it to 15 or newer")
    ]


def _version(connection: Connection, target: Target) -> list[Finding]:
    what = f"schema {target.schema}:"
    found = _found(connection, target)
    if found.oldest_code > schema.CODE_VERSION:
        why = f"version {found.version} needs a newer distq, this one is refused"
        return [Finding(Severity.PROBLEM, f"{what} too new", why, "pip install --upgrade distq")]
    if found.version < schema.CODE_VERSION:
        has = f"is at version {found.version}" if found.version else "does not exist"
        why = f"this distq needs version {schema.CODE_VERSION}, and refuses to work"
        return [Finding(Severity.PROBLEM, f"{what} {has}", why, "distq migrate")]
    if found.version > schema.CODE_VERSION:
        why = f"this distq is made for version {schema.CODE_VERSION}, and may still work with it"
        return [
            Finding(
                Severity.NOTE, f"{what} is at version {found.version}", why, "pip install --upgrade distq"
            )
        ]
    return [Finding(Severity.OK, f"{what} is at version {found.version}")]


def _found(connection: Connection, target: Target) -> schema.Version:
    try:
        return schema.read_version(connection, target.schema)
    except errors.UndefinedTable:
        return schema.Version(0, 0)


def _indexes(connection: Connection, target: Target) -> list[Finding]:
    if _found(connection, target).version != schema.CODE_VERSION:
        return []  # which there should be is not known, or `distq migrate` comes first
    usable = dict(_rows(connection, "indexes", target, schema=target.schema))
    why = "statements that need it read whole tables, and get slower with each job"
    found: list[Finding] = []
    for name, statement in expected_indexes(target.schema).items():
        if name not in usable:
            found.append(Finding(Severity.PROBLEM, f"index {name}: is missing", why, statement))
        elif not usable[name]:
            mend = f'REINDEX INDEX CONCURRENTLY "{target.schema}".{name};'
            found.append(Finding(Severity.PROBLEM, f"index {name}: is invalid", why, mend))
    return found or [Finding(Severity.OK, "indexes: all are there, and valid")]


def _settings(connection: Connection, target: Target) -> list[Finding]:
    values = dict(_rows(connection, "settings", target, names=[wish.name for wish in WISHES]))
    found = [
        Finding(wish.severity, f"setting {wish.name}: is {values[wish.name]}", wish.why, wish.remedy)
        for wish in WISHES
        if values.get(wish.name, wish.good[0]) not in wish.good
    ]
    commit = values.get("synchronous_commit")
    return found or [Finding(Severity.OK, f"settings: fsync on, synchronous_commit {commit}, read committed")]


def _vacuum(connection: Connection, target: Target) -> list[Finding]:
    return [
        Finding(
            Severity.PROBLEM,
            f"table {table}: autovacuum passes it over",
            "its dead rows are never removed: each lease walks over them, and gets slower day by day",
            f'ALTER TABLE "{target.schema}".{table} RESET (autovacuum_enabled);',
        )
        for (table,) in _rows(connection, "tables", target, schema=target.schema)
    ]


def _notify(connection: Connection, target: Target) -> list[Finding]:
    """As workers wait for it: on the listener's own connection."""
    probe = f"*{secrets.token_hex(8)}"
    wakeup, waker = os.pipe()
    with closing(PostgresListener(target, lambda _: None, [probe], [])) as listener:
        connected = listener.wait(timeout=ARRIVAL_S, wakeup=wakeup)
        connection.execute("SELECT pg_notify(%s, %s)", (target.schema, probe), prepare=False)
        arrives = connected.gap and bool(listener.wait(timeout=ARRIVAL_S, wakeup=wakeup).ready)
    os.close(wakeup)
    os.close(waker)
    remedy = (
        "give workers a URL without the pooler, or one where it pools sessions; else nothing need be done"
    )
    return [hints("NOTIFY", arrive=arrives, remedy=remedy), *_pooler(connection, target, arrives)]


def _pooler(connection: Connection, target: Target, arrives: bool) -> list[Finding]:
    """A proxy gives another process id than the server's. One that passes NOTIFY on pools sessions."""
    (pid,) = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone() or (0,)
    if pid == connection.info.backend_pid:
        return []
    if arrives or not target.prepare:
        return [Finding(Severity.OK, "pooler: there is one in between, and the URL suits it")]
    return [
        Finding(
            Severity.WARNING,
            "pooler: there is one in between, which seems to pool transactions",
            "statements that are prepared on one connection of the server's are not known on the next",
            "add ?prepare=off to the URL",
        )
    ]


def _clock(connection: Connection, _: Target) -> list[Finding]:
    before = time.time()
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8", prepare=False).fetchone()
    after = time.time()
    return [clock(row[0] - (before + after) / 2)] if row else []


def _transactions(connection: Connection, target: Target) -> list[Finding]:
    rows = _rows(connection, "transactions", target, seconds=LONG_S)
    found = [
        Finding(
            Severity.WARNING,
            f"transaction of process {pid} ({user}, {program or 'no name'}): {state}, {seconds / 60:.0f} min",
            "no vacuum removes rows that died since it began: each lease walks over them",
            f"SELECT pg_terminate_backend({pid});   (and set idle_in_transaction_session_timeout)",
        )
        for pid, user, program, state, seconds in rows
        if seconds is not None
    ]
    if hidden := sum(seconds is None for *_, seconds in rows):
        found.append(
            unseen("transactions", f"{hidden} sessions are hidden; GRANT pg_monitor TO CURRENT_USER;")
        )
    return found or [Finding(Severity.OK, f"transactions: none is open for longer than {LONG_S:.0f} s")]


def _connections(connection: Connection, target: Target) -> list[Finding]:
    ((used, most),) = _rows(connection, "connections", target)
    what = f"connections: {used} of {most} are taken"
    if most - used >= FEW_CONNECTIONS:
        return [Finding(Severity.OK, what)]
    why = "each worker process takes two, and each client process up to ten; who gets none cannot work"
    return [
        Finding(Severity.WARNING, what, why, "ALTER SYSTEM SET max_connections = 200;   (then restart it)")
    ]


_CHECKS = {
    "server": _server,
    "schema": _version,
    "indexes": _indexes,
    "settings": _settings,
    "tables": _vacuum,
    "wake-ups": _notify,
    "clocks": _clock,
    "transactions": _transactions,
    "connections": _connections,
}
