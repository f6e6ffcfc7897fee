"""RabbitMQ by pika, results in PostgreSQL or Redis: a process a consumer, acked when the result is stored.

`default` is https://www.rabbitmq.com/tutorials/tutorial-two-python ("Work Queues"), with the results
stored, since otherwise there would be nothing to verify.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple, cast

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.connection import Parameters
from pika.exceptions import AMQPError

from adapters import processes
from adapters.base import Adapter, AdapterError, Cell, JobSpec, Profile, Promises, Service, Submission
from adapters.rabbitmq_publisher import WINDOW, ConfirmedPublisher, Publisher, UnconfirmedPublisher, parse
from adapters.stores import CONNECT_S, PostgresStore, RedisStore, unreachable

# pika logs each error that it also raises.
logging.getLogger("pika").setLevel(logging.CRITICAL)

_DAY_S = 86400

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

_UNEQUAL = (
    "Bare pika, no task library: the message is the payload, and there are no tasks, retries, errors or"
    " schedules. Streams, and clients other than pika, are not tried.",
    "Results lie in another server: a death between storing and acknowledging runs the job again.",
    f"One result is stored and one message acknowledged at a time (tuned: up to {_PROFILES['tuned'].batch})."
    " An acknowledgement has no answer: settled is when it was sent.",
    "Default publishes without confirms, as the tutorial does: accepted is what was written to a socket.",
)


class RabbitmqAdapter(Adapter):
    """What the two share; they differ in where results are kept."""

    _kept: str

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._queue = cell.namespace
        self._settings = _PROFILES[cell.profile]
        if cell.batch:
            self._settings = self._settings._replace(prefetch=cell.batch, batch=cell.batch)
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
            batch=f"{sent}; {'1' if settings.batch == 1 else f'up to {settings.batch}'} stored and acked",
            redelivery_s=1.0,
        )

    @abstractmethod
    def _recorder(self) -> AbstractContextManager[Callable[[Results], object]]:
        """A function that stores results durably; it has a connection of its own."""

    def setup(self) -> None:
        with self._connect() as connection:
            channel = connection.channel()
            channel.queue_delete(self._queue)
            self._declare(channel)

    def _declare(self, channel: BlockingChannel) -> None:
        channel.queue_declare(self._queue, durable=True, arguments=self._arguments)

    @cached_property
    def _parameters(self) -> Parameters:
        parameters = pika.URLParameters(self._cell.urls[Service.RABBITMQ])
        parameters.socket_timeout = parameters.stack_timeout = CONNECT_S
        return parameters

    def _connect(self) -> pika.BlockingConnection:
        try:
            return pika.BlockingConnection(self._parameters)
        except (AMQPError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> AdapterError:
        return unreachable(Service.RABBITMQ, f"{self._parameters.host}:{self._parameters.port}", error)

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        try:
            yield from self._publisher.publish(jobs)
        except (AMQPError, OSError) as error:
            raise self._unreachable(error) from error

    @cached_property
    def _publisher(self) -> Publisher:
        # Nobody reads the connection while nothing is sent, so it must not need heartbeats.
        parameters = copy(self._parameters)
        parameters.heartbeat = 0
        make = ConfirmedPublisher if self._settings.confirms else UnconfirmedPublisher
        return make(parameters, self._queue, self._mode)

    def run_pool(self) -> None:
        processes.run(self._work, self._cell.processes)

    def _work(self, stop: processes.Stop) -> None:
        handler = self._cell.make_handler()
        with self._recorder() as record, self._connect() as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=self._settings.prefetch)
            batch: list[tuple[int, JobSpec]] = []
            for method, properties, body in channel.consume(self._queue, inactivity_timeout=1.0):
                if stop:  # closing the connection gives back what is not acked
                    return
                if method is None or body is None:
                    continue
                batch.append((method.delivery_tag, parse(properties, body)))
                if len(batch) < self._settings.batch and channel.get_waiting_message_count():
                    continue
                record([(job.id, handler(*job)) for _, job in batch])
                channel.basic_ack(batch[-1][0], multiple=len(batch) > 1)
                # Sent: AMQP does not answer an acknowledgement.
                handler.settled([job.id for _, job in batch])
                batch.clear()

    def depth(self) -> int:
        """How many messages are ready: AMQP does not tell of those delivered and not yet acked."""
        with self._connect() as connection:
            return connection.channel().queue_declare(self._queue, passive=True).method.message_count

    def effective_settings(self) -> Mapping[str, str]:
        with self._connect() as connection:
            # RabbitMQ refuses a declaration that differs from the queue there is.
            self._declare(connection.channel())
            server = cast(Any, connection)._impl.server_properties
        return {
            "concurrency": "1 (processes only)",
            "pika": pika.__version__,
            "rabbitmq.version": server["version"],
            "rabbitmq.queue": f"durable, {self._arguments['x-queue-type']}",
            "delivery_mode": self._mode.name.lower(),
            "publisher_confirms": str(self._settings.confirms),
            "prefetch": str(self._settings.prefetch),
        }

    def teardown(self) -> None:
        if "_publisher" in self.__dict__:
            self._publisher.close()
        with self._connect() as connection:
            connection.channel().queue_delete(self._queue)


class RabbitmqPostgres(RabbitmqAdapter):
    """Results in a table."""

    name = "rabbitmq-postgres"
    needs = frozenset({Service.RABBITMQ, Service.POSTGRES})
    _kept = "a table, the first result of a job stays"
    unequal = (
        *_UNEQUAL,
        "Each result is an INSERT that waits for the disk as the tier says: a commit a job, unless tuned.",
    )

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._store = PostgresStore(cell)

    def setup(self) -> None:
        self._store.create()
        with self._store.connect() as connection:
            connection.execute("CREATE TABLE results (id bigint PRIMARY KEY, result bigint NOT NULL)")
        super().setup()

    @contextmanager
    def _recorder(self) -> Iterator[Callable[[Results], object]]:
        # In the order of ids, so that two workers with the same redelivered jobs never deadlock.
        rows = "SELECT * FROM unnest(%s::bigint[], %s::bigint[]) ORDER BY 1"
        insert = f"INSERT INTO results {rows} ON CONFLICT DO NOTHING"
        with self._store.connect() as connection:
            yield lambda results: connection.execute(insert, list(map(list, zip(*results, strict=True))))

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        query = "SELECT id, result FROM results WHERE id = ANY(%s)"
        with self._store.connect() as connection:
            return dict(connection.execute(query, (list(ids),)).fetchall())

    def effective_settings(self) -> Mapping[str, str]:
        return {**super().effective_settings(), **self._store.settings()}

    def teardown(self) -> None:
        super().teardown()
        self._store.drop()


class RabbitmqRedis(RabbitmqAdapter):
    """Results in a key each."""

    name = "rabbitmq-redis"
    needs = frozenset({Service.RABBITMQ, Service.REDIS})
    _kept = "Redis, kept a day"
    unequal = (
        *_UNEQUAL,
        "In tier production Redis syncs its log each second: a crash of its machine may undo results whose"
        " messages were acknowledged.",
    )

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._store = RedisStore(cell)

    def setup(self) -> None:
        self._store.clear()
        super().setup()

    @contextmanager
    def _recorder(self) -> Iterator[Callable[[Results], object]]:
        with self._store.connect() as client:

            def record(results: Results) -> None:
                pipeline = client.pipeline(transaction=False)
                for id, result in results:
                    pipeline.set(self._key(id), result, ex=_DAY_S)
                pipeline.execute()

            yield record

    def _key(self, job_id: int) -> str:
        return self._store.key(f"result:{job_id}")

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        with self._store.connect() as client:
            stored: Any = client.mget([self._key(id) for id in ids]) if ids else []
        return {id: int(value) for id, value in zip(ids, stored, strict=True) if value is not None}

    def effective_settings(self) -> Mapping[str, str]:
        return {**super().effective_settings(), **self._store.settings()}

    def teardown(self) -> None:
        super().teardown()
        self._store.clear()
