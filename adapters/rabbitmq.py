"""RabbitMQ by pika, results in PostgreSQL or Redis: a process a consumer, acked when the result is stored.

`default` is https://www.rabbitmq.com/tutorials/tutorial-two-python ("Work Queues"), with the results
stored, since otherwise there would be nothing to verify.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from adapters import processes
from adapters.base import Adapter, AdapterError, Cell, JobSpec, Profile, Promises, Service, Submission
from adapters.rabbitmq_publisher import WINDOW, ConfirmedPublisher, message
from adapters.stores import CONNECT_S, PostgresStore, RedisStore, unreachable

# pika logs each error that it also raises.
logging.getLogger("pika").setLevel(logging.CRITICAL)

_IDLE_S = 0.05
"""After so long without a message what is pending is stored and acked."""

_KEEP_S = 3600

Results = Sequence[tuple[int, int]]


class _Settings(NamedTuple):
    prefetch: int
    batch: int
    confirms: bool


_PROFILES: dict[Profile, _Settings] = {
    "default": _Settings(prefetch=1, batch=1, confirms=False),
    # rabbitmq.com/docs/confirms, "Channel Prefetch Setting (QoS)": "Values in the 100 through 300
    # range usually offer optimal throughput".
    "matched": _Settings(prefetch=100, batch=1, confirms=True),
    # The same page, "Acknowledging Multiple Deliveries at Once". Prefetch holds three batches, so that
    # the next one is here while this one is stored.
    "tuned": _Settings(prefetch=300, batch=100, confirms=True),
}


class RabbitmqAdapter(Adapter):
    """What the two share; they differ in where results are kept."""

    _kept: str

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._queue = cell.namespace
        self._settings = _PROFILES[cell.profile]
        self._arguments = {"x-queue-type": "quorum" if cell.tier == "strict" else "classic"}
        transient = cell.tier == "memory"
        self._mode = pika.DeliveryMode.Transient if transient else pika.DeliveryMode.Persistent

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        settings = _PROFILES[profile]
        sent = f"1 sent, {WINDOW} unconfirmed at most" if settings.confirms else "1 sent, never confirmed"
        return Promises(
            delivery="at least once",
            acked="after the run, result stored",
            fenced=False,
            results=cls._kept,
            prefetch=str(settings.prefetch),
            batch=f"{sent}; up to {settings.batch} stored and acked",
            redelivery_s=1.0,
        )

    @abstractmethod
    def _recorder(self) -> AbstractContextManager[Callable[[Results], object]]:
        """A function that stores results, durable when it returns; with its own connection."""

    def setup(self) -> None:
        with self._connect() as connection:
            channel = connection.channel()
            channel.queue_delete(self._queue)
            self._declare(channel)

    def _declare(self, channel: BlockingChannel) -> None:
        channel.queue_declare(self._queue, durable=True, arguments=self._arguments)

    def _parameters(self, heartbeat: int | None = None) -> Any:
        parameters: Any = pika.URLParameters(self._cell.urls[Service.RABBITMQ])
        parameters.socket_timeout = parameters.stack_timeout = CONNECT_S
        if heartbeat is not None:
            parameters.heartbeat = heartbeat
        return parameters

    def _connect(self, heartbeat: int | None = None) -> pika.BlockingConnection:
        try:
            return pika.BlockingConnection(self._parameters(heartbeat))
        except (AMQPError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> AdapterError:
        known = self._parameters()
        return unreachable(Service.RABBITMQ, f"{known.host}:{known.port}", repr(error))

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        try:
            publish = self._publisher.publish if self._settings.confirms else self._publish
            yield from publish(jobs)
        except AMQPError as error:
            raise self._unreachable(error) from error

    @cached_property
    def _publisher(self) -> ConfirmedPublisher:
        return ConfirmedPublisher(self._parameters(), self._queue, self._mode)

    def _publish(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        """As the tutorial does: nobody confirms, so `accepted` means written to the socket."""
        with self._connect() as connection:
            channel = connection.channel()
            for job in jobs:
                body, properties = message(job, self._mode)
                channel.basic_publish("", self._queue, body, properties)
                yield Submission(job.id, "accepted")

    def run_pool(self) -> None:
        processes.run(self._work, self._cell.processes)

    def _work(self, stop: processes.Stop) -> None:
        handler = self._cell.make_handler()
        with self._connect() as connection, self._recorder() as record:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=self._settings.prefetch)
            pending: list[tuple[int, int]] = []
            tag = 0
            for method, properties, body in channel.consume(self._queue, inactivity_timeout=_IDLE_S):
                if method is not None and properties is not None and body is not None:
                    job, tag = int(str(properties.message_id)), method.delivery_tag
                    pending.append((job, handler(job, body.decode())))
                if pending and (method is None or len(pending) >= self._settings.batch):
                    record(pending)
                    channel.basic_ack(tag, multiple=len(pending) > 1)
                    pending = []
                if stop:
                    break

    def depth(self) -> int:
        """Messages that are ready; those that a consumer holds unacked cannot be seen by AMQP."""
        with self._connect() as connection:
            declared = connection.channel().queue_declare(self._queue, passive=True)
            return declared.method.message_count

    def effective_settings(self) -> Mapping[str, str]:
        with self._connect() as connection:
            # pika's blocking connection does not show them itself.
            server: Any = connection._impl.server_properties  # pyright: ignore[reportAttributeAccessIssue]
            broker = {key: server[key] for key in ("product", "version")}
        return {
            "concurrency": "1 (processes only)",
            "pika": pika.__version__,
            "broker": f"{broker['product']} {broker['version']}",
            "queue": f"durable, {self._arguments['x-queue-type']}",
            "delivery mode": self._mode.name,
            "prefetch": str(self._settings.prefetch),
            "batch": str(self._settings.batch),
            "publisher confirms": str(self._settings.confirms),
            **self._kept_settings(),
        }

    @abstractmethod
    def _kept_settings(self) -> Mapping[str, str]:
        """What the results' server says of its durability."""

    def teardown(self) -> None:
        self._publisher.close()
        with self._connect() as connection:
            connection.channel().queue_delete(self._queue)


class RabbitmqPostgres(RabbitmqAdapter):
    """Results in a table, a row a job, each batch one committed INSERT."""

    name = "rabbitmq-postgres"
    needs = frozenset({Service.RABBITMQ, Service.POSTGRES})
    _kept = "PostgreSQL, a row a job"

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._store = PostgresStore(cell)

    def setup(self) -> None:
        super().setup()
        self._store.create()
        with self._store.connect() as connection:
            connection.execute("CREATE TABLE results (id bigint PRIMARY KEY, result bigint NOT NULL)")

    @contextmanager
    def _recorder(self) -> Iterator[Callable[[Results], object]]:
        query = (
            "INSERT INTO results SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
            " ON CONFLICT (id) DO UPDATE SET result = excluded.result"
        )
        with self._store.connect() as connection:
            yield lambda results: connection.execute(
                query, [list(column) for column in zip(*results, strict=True)]
            )

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        with self._store.connect() as connection:
            query = "SELECT id, result FROM results WHERE id = ANY(%s)"
            return dict(connection.execute(query, (list(ids),)).fetchall())

    def _kept_settings(self) -> Mapping[str, str]:
        return self._store.settings()

    def teardown(self) -> None:
        super().teardown()
        self._store.drop()


class RabbitmqRedis(RabbitmqAdapter):
    """Results in keys that expire, each batch one pipeline of SETs."""

    name = "rabbitmq-redis"
    needs = frozenset({Service.RABBITMQ, Service.REDIS})
    _kept = "Redis, a key a job, kept an hour"

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._store = RedisStore(cell)

    def setup(self) -> None:
        super().setup()
        self._store.clear()

    @contextmanager
    def _recorder(self) -> Iterator[Callable[[Results], object]]:
        with self._store.connect() as client:

            def record(results: Results) -> None:
                pipeline = client.pipeline(transaction=False)
                for job, result in results:
                    pipeline.set(self._store.key(f"result:{job}"), result, ex=_KEEP_S)
                pipeline.execute()

            yield record

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        with self._store.connect() as client:
            values: Any = client.mget([self._store.key(f"result:{job}") for job in ids])
        return {job: int(value) for job, value in zip(ids, values, strict=True) if value is not None}

    def _kept_settings(self) -> Mapping[str, str]:
        return self._store.settings()

    def teardown(self) -> None:
        super().teardown()
        self._store.clear()
