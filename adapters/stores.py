"""One cell's own corner of a PostgreSQL or Redis server, for contenders that keep something there.

PostgreSQL: a schema named as the cell's namespace. Redis: keys that begin with `namespace:`. Nothing
else on the server is read, changed or removed.
"""

from __future__ import annotations

from typing import Any

import psycopg
import redis
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.base import AdapterError, Cell, Service

CONNECT_S = 3
"""How long a server may take to answer."""

LAST_SECOND = (
    "In tier production Redis syncs its log each second: a crash of its machine may undo the last one, what"
    " was enqueued and what was settled, where PostgreSQL loses nothing that it has answered."
)
"""What is not equal about whoever keeps jobs in Redis."""

_OPTIONS = {
    Service.POSTGRES: ("PostgreSQL", "--postgres-url"),
    Service.REDIS: ("Redis", "--redis-url"),
    Service.RABBITMQ: ("RabbitMQ", "--amqp-url"),
}


def unreachable(service: Service, where: str, reason: BaseException) -> AdapterError:
    """The error for a server that cannot be used: one line, what and where and what to do."""
    label, option = _OPTIONS[service]
    text = " ".join((str(reason) or repr(reason)).split())
    return AdapterError(f"{label} at {where} cannot be used ({text}): start it, or name another by {option}")


class PostgresStore:
    """The cell's schema."""

    def __init__(self, cell: Cell) -> None:
        self._url = cell.urls[Service.POSTGRES]
        self._schema = sql.Identifier(cell.namespace)

    def connect(self) -> psycopg.Connection:
        """A new connection in autocommit whose unqualified names are the schema's."""
        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_S)
        except psycopg.OperationalError as error:
            known = conninfo_to_dict(self._url)
            where = f"{known.get('host', 'localhost')}:{known.get('port', 5432)}"
            raise unreachable(Service.POSTGRES, where, error) from error
        connection.execute(sql.SQL("SET search_path TO {}").format(self._schema))
        return connection

    def create(self) -> None:
        """Make the schema, empty."""
        self.drop()
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(self._schema))

    def drop(self) -> None:
        """Remove the schema and everything in it."""
        with self.connect() as connection:
            connection.execute("SET client_min_messages TO warning")
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(self._schema))

    def settings(self) -> dict[str, str]:
        """What decides the durability of this server's commits, as a session sees it."""
        names = ("server_version", "synchronous_commit", "fsync", "full_page_writes")
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(names),)
            )
            return {f"postgres.{name}": setting for name, setting in rows}


class RedisStore:
    """The cell's keys."""

    def __init__(self, cell: Cell) -> None:
        self._url = cell.urls[Service.REDIS]
        self._prefix = f"{cell.namespace}:"

    def connect(self) -> redis.Redis:
        """A new client."""
        # No retries: a worker that lost its server dies and is replaced, setup fails at once.
        retry = Retry(NoBackoff(), 0)
        client = redis.Redis.from_url(self._url, socket_connect_timeout=CONNECT_S, retry=retry)
        try:
            client.ping()
        except redis.RedisError as error:
            known = client.connection_pool.connection_kwargs
            where = known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"
            raise unreachable(Service.REDIS, where, error) from error
        return client

    def key(self, name: str) -> str:
        """The name of a key of this cell."""
        return self._prefix + name

    def clear(self) -> None:
        """Remove every key of this cell."""
        with self.connect() as client:
            batch: list[Any] = []
            for key in client.scan_iter(match=f"{self._prefix}*", count=1000):
                batch.append(key)
                if len(batch) == 1000:
                    client.unlink(*batch)
                    batch.clear()
            if batch:
                client.unlink(*batch)

    def settings(self) -> dict[str, str]:
        """What decides the durability of this server's writes."""
        with self.connect() as client:
            info: Any = client.info()
            read = {"redis.version": info.get("valkey_version", info["redis_version"])}
            try:
                config: Any = client.config_get("append*")
            except redis.ResponseError as error:  # managed servers refuse CONFIG
                return read | {"redis.appendonly": str(info["aof_enabled"]), "redis.config": str(error)}
            return read | {f"redis.{name}": config[name] for name in ("appendonly", "appendfsync")}
