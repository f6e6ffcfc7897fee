"""Storages on real servers whose clock a test sets: no time passes but what the test lets pass."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import psycopg
import pytest
import redis

from distq.postgres.cursors import Statement
from distq.postgres.storage import PostgresStorage
from distq.redis import scripts
from distq.redis.storage import RedisStorage
from distq.storage import Op, Storage


class Clocked(Protocol):
    """A server that gives empty storages and believes what it is told of the time, in µs since 1970."""

    def fresh(self) -> Storage: ...

    def set(self, microseconds: int) -> None: ...


class ClockedPostgres:
    """One schema, emptied again and again. Another stands before pg_catalog, with the clock's functions."""

    def __init__(self, url: str, schema: str, connection: psycopg.Connection) -> None:
        # What is committed need not outlive the server here.
        options = f"-csearch_path%3D{schema}_clock,pg_catalog%20-csynchronous_commit%3Doff"
        self._storage = PostgresStorage(f"{url}?schema={schema}&options={options}")
        self._storage.migrate()
        self._connection = connection
        tables = ("job", "finished", "key", "queue", "worker", "tally", "schedule", "watch")
        self._clear = "".join(f"DELETE FROM {schema}.{table}; " for table in tables)
        self._clear += f"UPDATE {schema}.pulse SET ticked_at = '-infinity', swept_at = '-infinity'"

    def fresh(self) -> PostgresStorage:
        self._connection.execute(self._clear.encode())
        return self._storage

    def set(self, microseconds: int) -> None:
        text = b"SELECT set_config('machine.now', %(now)s, false)"
        self._storage.run(Op(Statement(text, {"now": f"{microseconds / 1e6:.6f}"}), list))

    def close(self) -> None:
        self._storage.close()


@contextmanager
def clocked_postgres(url: str) -> Iterator[ClockedPostgres]:
    schema = f"p{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True, options="-csynchronous_commit=off") as connection:
        connection.execute(f"CREATE SCHEMA {schema}_clock".encode())
        for name in ("now", "statement_timestamp", "clock_timestamp"):
            told = "to_timestamp(current_setting('machine.now', true)::float8)"
            body = f"SELECT coalesce({told}, pg_catalog.{name}())"
            head = f"CREATE FUNCTION {schema}_clock.{name}() RETURNS timestamptz LANGUAGE sql STABLE"
            connection.execute(f"{head} AS $${body}$$".encode())
        server = ClockedPostgres(url, schema, connection)
        yield server
        server.close()
        connection.execute(f"DROP SCHEMA {schema}, {schema}_clock CASCADE".encode())


class ClockedRedis:
    """A prefix of its own for each storage; the scripts read the time from a key."""

    def __init__(self, url: str, name: str) -> None:
        self.clock = f"{name}:clock"
        self._url, self._name, self._number = url, name, 0
        self._client = redis.Redis.from_url(url)
        self._storage: RedisStorage | None = None

    def fresh(self) -> RedisStorage:
        self.clear()
        self._number += 1
        self._storage = RedisStorage(f"{self._url}?prefix={self._name}:{self._number}")
        return self._storage

    def set(self, microseconds: int) -> None:
        seconds, rest = divmod(microseconds, 10**6)
        self._client.hset(self.clock, mapping={"seconds": seconds, "microseconds": rest})

    def clear(self) -> None:
        if self._storage:
            self._storage.close()
        if left := self._client.keys(f"{self._name}:*"):
            self._client.delete(*left)  # pyright: ignore[reportGeneralTypeIssues]

    def close(self) -> None:
        self.clear()
        self._client.close()


@contextmanager
def clocked_redis(url: str) -> Iterator[ClockedRedis]:
    server = ClockedRedis(url, f"t{uuid.uuid4().hex[:12]}")
    text = scripts.text

    def clocked(name: str) -> str:
        told = f"call('HMGET', '{server.clock}', 'seconds', 'microseconds')"
        return text(name).replace("call('TIME')", told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "text", clocked)
        scripts.sha.cache_clear()
        yield server
    scripts.sha.cache_clear()
    server.close()
