"""Celery with Redis, RabbitMQ or PostgreSQL as its broker.

What is said of the transports was read in `kombu/transport/` of version 5.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import sqlalchemy
from amqp.exceptions import AMQPError, MessageNacked
from celery.backends.database.session import ResultModelBase
from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.messaging import Producer
from kombu.transport.sqlalchemy import Channel as SqlChannel
from kombu.transport.sqlalchemy.models import metadata as broker_metadata

from adapters.base import Cell, JobSpec, Profile, Promises, Service
from adapters.celery_app import (
    CHUNKS,
    MATCHED,
    SOLO,
    TUNED,
    UNEQUAL,
    CeleryAdapter,
    NoDelayedDelivery,
    promises,
)
from adapters.stores import CONNECT_S, LAST_SECOND, PostgresStore, RedisStore, unreachable


class CeleryRedis(CeleryAdapter):
    """Broker and results in Redis."""

    name = "celery-redis"
    needs = frozenset({Service.REDIS})
    unequal = (
        *UNEQUAL,
        "What a killed worker held comes back after the visibility timeout, an hour. A message between its"
        " BRPOP and its note in `unacked` is in no key: who dies then loses it.",
        LAST_SECOND,
    )
    _profiles: ClassVar = {"default": {}, "matched": MATCHED, "tuned": TUNED | SOLO}

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._store = RedisStore(cell)

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        # A prefork worker puts a killed child's job back when it looks after its pool, every 5 s. What
        # a killed worker held comes back after the visibility timeout (kombu/transport/redis.py), and
        # solo is a worker a process.
        return promises(profile, "Redis", 3600.0 if profile == "tuned" else 5.0, CHUNKS[profile])

    def _servers(self) -> dict[str, Any]:
        url = self._cell.urls[Service.REDIS]
        prefix = {"global_keyprefix": f"{self._queue}:"}
        return {
            "broker_url": url,
            "broker_transport_options": prefix,
            "result_backend": url,
            "result_backend_transport_options": prefix,
        }

    def setup(self) -> None:
        self._store.clear()
        super().setup()

    def _send(self, producer: Producer, jobs: Sequence[JobSpec]) -> None:
        # One pipeline for a chunk (kombu/messaging.py, Producer.batch); for one job no batch.
        with producer.batch() if len(jobs) > 1 else nullcontext():
            super()._send(producer, jobs)

    def depth(self) -> int:
        with self._store.connect() as client:
            pipeline = client.pipeline()
            pipeline.llen(self._store.key(self._queue))
            pipeline.hlen(self._store.key("unacked"))
            return sum(pipeline.execute())

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        backend: Any = self._app.backend
        keys = [backend.get_key_for_task(self._task_id(id)) for id in ids]
        stored = backend.mget(keys) if keys else []
        metas = ((id, backend.decode_result(value)) for id, value in zip(ids, stored, strict=True) if value)
        return {id: meta["result"] for id, meta in metas if meta["status"] == "SUCCESS"}

    def effective_settings(self) -> Mapping[str, str]:
        return {**super().effective_settings(), **self._store.settings()}

    def teardown(self) -> None:
        super().teardown()
        self._store.clear()


class CeleryRabbitmq(CeleryRedis):
    """Broker RabbitMQ, results in Redis."""

    name = "celery-rabbitmq"
    needs = frozenset({Service.RABBITMQ, Service.REDIS})
    unequal = (
        *UNEQUAL,
        "Two servers work for it. Results lie in Redis, which syncs its log each second in tier production.",
        "Matched waits for a confirm with each job, tuned once for up to 100,"
        " default never. An acknowledgement has no answer: settled is when it was sent.",
    )

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        return promises(profile, "Redis", 1.0 if profile == "tuned" else 5.0, CHUNKS[profile])

    def _servers(self) -> dict[str, Any]:
        memory, strict = self._cell.tier == "memory", self._cell.tier == "strict"
        settings = super()._servers() | {
            "broker_url": self._cell.urls[Service.RABBITMQ],
            # kombu/transport/pyamqp.py, "Publisher confirms"; tuned waits for them by the chunk.
            "broker_transport_options": {"confirm_publish": self._cell.profile == "matched"},
            "task_default_delivery_mode": "transient" if memory else "persistent",
        }
        if strict:
            settings |= {"task_default_queue_type": "quorum", "worker_consumer": NoDelayedDelivery}
        return settings

    def _connection(self) -> Connection:
        connection = self._app.connection_for_write(connect_timeout=CONNECT_S)
        try:
            return connection.ensure_connection(max_retries=1, interval_start=0)
        except (KombuError, AMQPError, OSError) as error:
            where = f"{connection.hostname}:{connection.port}"
            raise unreachable(Service.RABBITMQ, where, error) from error

    def _send(self, producer: Producer, jobs: Sequence[JobSpec]) -> None:
        if self._chunk > 1:
            self._send_chunk(producer.connection, jobs)
        else:
            super()._send(producer, jobs)

    def _send_chunk(self, connection: Any, jobs: Sequence[JobSpec]) -> None:
        """Publish a chunk, then wait for its confirms: rabbitmq.com/tutorials/tutorial-seven-java."""
        missing = set(range(1, len(jobs) + 1))

        def confirm(tag: int, multiple: bool) -> None:
            missing.difference_update(range(1, tag + 1) if multiple else (tag,))

        with connection.channel() as channel:  # a new one, whose tags count from 1
            channel.events["basic_ack"].add(confirm)
            channel.events["basic_nack"].add(_refuse)
            channel.confirm_select()
            super()._send(Producer(channel), jobs)
            while missing:
                connection.drain_events(timeout=30)

    def depth(self) -> int:
        """How many messages are ready: AMQP does not tell of those delivered and not yet acked."""
        with self._connection() as connection:
            return connection.default_channel.queue_declare(self._queue, passive=True).message_count

    def effective_settings(self) -> Mapping[str, str]:
        conf = self._app.conf
        with self._connection() as connection:
            # RabbitMQ refuses a declaration that differs from the queue there is.
            self._app.amqp.default_queue(connection.default_channel).declare()
            server: Any = connection.connection
            version = server.server_properties["version"]
        return {
            **super().effective_settings(),
            "rabbitmq.version": version,
            "rabbitmq.queue": f"durable, {conf.task_default_queue_type}",
            "task_default_delivery_mode": conf.task_default_delivery_mode,
            "confirm_publish": str(conf.broker_transport_options["confirm_publish"] or self._chunk > 1),
        }

    def teardown(self) -> None:
        with self._connection() as connection:
            channel = connection.default_channel
            channel.queue_delete(self._queue)
            for exchange in ("{}", "{}.pidbox", "reply.{}.pidbox", "{}.events"):
                channel.exchange_delete(exchange.format(self._queue))
        super().teardown()


def _refuse(tag: int, multiple: bool) -> None:
    raise MessageNacked(tag)


# A fetched message stays in the table, before the others in kombu's own index, so that each fetch walks
# over all those before it. A database expert's remedy.
_INDEX = "CREATE INDEX ON kombu_message (timestamp, id) WHERE visible"


class CeleryPostgres(CeleryAdapter):
    """Broker (SQLAlchemy transport) and results in PostgreSQL."""

    name = "celery-postgres"
    needs = frozenset({Service.POSTGRES})
    unequal = (
        *UNEQUAL[:2],
        "It cannot promise what the others do: fetching a message hides its row for good, so what a killed"
        " pool held is lost. Nothing is ever acknowledged to the server, so no job is seen to be settled.",
        "kombu sends and fetches one message a transaction, looks again a second after it found none, and"
        " leaves the row of each job in its table.",
        "Tuned has an index that kombu does not make. It stays with prefork, for the database backend of a"
        " solo worker connects anew for each result.",
    )
    # Prefork in every profile: the database backend of a solo worker connects anew for each result.
    _profiles: ClassVar = {"default": {}, "matched": MATCHED, "tuned": TUNED}
    _chunks: ClassVar = dict.fromkeys(CHUNKS, 1)  # every message is a transaction of its own
    _acknowledges: ClassVar = False  # fetching a message hides its row; acknowledging it changes nothing

    def __init__(self, cell: Cell) -> None:
        url = sqlalchemy.make_url(cell.urls[Service.POSTGRES]).set(drivername="postgresql+psycopg")
        options = f"{url.query.get('options', '')} -csearch_path={cell.namespace}".strip()
        self._url = url.update_query_dict({"options": options}).render_as_string(hide_password=False)
        self._store = PostgresStore(cell)
        super().__init__(cell)

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        # Without an event loop the worker waits 10 s for the result of a killed child
        # (billiard/pool.py, LOST_WORKER_TIMEOUT).
        row = promises(profile, "a table", 12.0, chunk=1)
        if profile == "default":
            return row
        # kombu/transport/sqlalchemy: fetching a message hides its row for good. A rejected message
        # is put again, by the worker that holds it; when that dies, its messages are lost.
        text = "after the run, result stored; but a killed pool's messages are lost"
        return row.model_copy(update={"delivery": "at most once", "acked": text})

    def _servers(self) -> dict[str, Any]:
        return {"broker_url": f"sqla+{self._url}", "result_backend": f"db+{self._url}"}

    def setup(self) -> None:
        self._store.create()
        engine = sqlalchemy.create_engine(self._url)
        with self._connection() as connection:
            channel: Any = connection.default_channel  # its first use defines the broker's tables
            # kombu and Celery create their tables once a process, whatever we dropped since.
            broker_metadata.create_all(engine)
            ResultModelBase.metadata.create_all(engine)
            self._app.amqp.default_queue(channel).declare()
            channel.session.close()
        engine.dispose()
        if self._cell.profile == "tuned":
            with self._store.connect() as connection:
                connection.execute(_INDEX)

    def depth(self) -> int:
        """How many messages were not fetched; what became of those that were is not in the table."""
        with self._store.connect() as connection:
            row = connection.execute("SELECT count(*) FROM kombu_message WHERE visible").fetchone()
            return row[0] if row else 0

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        query = "SELECT task_id, result FROM celery_taskmeta WHERE task_id = ANY(%s) AND status = 'SUCCESS'"
        numbers = {self._task_id(id): id for id in ids}
        with self._store.connect() as connection:
            rows = connection.execute(query, (list(numbers),)).fetchall()
        return {numbers[task_id]: self._app.backend.decode(result) for task_id, result in rows}

    def effective_settings(self) -> Mapping[str, str]:
        return {**super().effective_settings(), **self._store.settings()}

    def teardown(self) -> None:
        super().teardown()
        # kombu keeps an engine a URL for the life of the process.
        engine, _ = SqlChannel._engines.pop(self._url, (None, None))
        if engine:
            engine.dispose()
        self._store.drop()
