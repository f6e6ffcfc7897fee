"""RabbitMQ by pika, results in PostgreSQL or Redis: a process a consumer, acked when the result is stored.

`default` is https://www.rabbitmq.com/tutorials/tutorial-two-python ("Work Queues"), with the results
stored, since otherwise there would be nothing to verify.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from adapters.base import Adapter, AdapterError, Cell, JobSpec, Profile, Promises, Service, Submission
from adapters.rabbitmq_publisher import WINDOW
from adapters.stores import CONNECT_S, unreachable

# pika logs each error that it also raises.
logging.getLogger("pika").setLevel(logging.CRITICAL)

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

    def _parameters(self, heartbeat: int | None = None) -> pika.URLParameters:
        parameters = pika.URLParameters(self._cell.urls[Service.RABBITMQ])
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
        if not self._settings.confirms:
            return self._publish(jobs)
        try:
            yield from self._publisher.publish(jobs)
        except AMQPError as error:
            raise self._unreachable(error) from error
