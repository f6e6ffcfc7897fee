"""Jobs as messages, and two ways to publish them: as the tutorial does, and with confirms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, Protocol

import pika
from pika.adapters.select_connection import IOLoop
from pika.connection import Parameters
from pika.spec import Basic

from adapters.base import JobSpec, Submission

WINDOW = 1000


def message(job: JobSpec, mode: pika.DeliveryMode) -> tuple[bytes, pika.BasicProperties]:
    """A job as it travels: the payload as the body, the id as AMQP's message id."""
    return job.payload.encode(), pika.BasicProperties(message_id=str(job.id), delivery_mode=mode)


def parse(properties: Any, body: bytes) -> JobSpec:
    """The job in a message."""
    return JobSpec(int(properties.message_id), body.decode())


class Publisher(Protocol):
    """Publishes jobs to one queue over one connection."""

    def publish(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        """Send the jobs and yield what is known of each."""
        ...

    def close(self) -> None:
        """Close the connection. Twice is safe."""
        ...


class UnconfirmedPublisher(Publisher):
    """A BlockingConnection, as in rabbitmq.com/tutorials: accepted is what was written to the socket."""

    def __init__(self, parameters: Parameters, queue: str, mode: pika.DeliveryMode) -> None:
        self._parameters = parameters
        self._queue = queue
        self._mode = mode
        self._connection: pika.BlockingConnection | None = None

    def publish(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        if self._connection is None:
            self._connection = pika.BlockingConnection(self._parameters)
        channel = self._connection.channel()
        for job in jobs:
            body, properties = message(job, self._mode)
            channel.basic_publish("", self._queue, body, properties)
            yield Submission(job.id, "accepted")
        channel.close()

    def close(self) -> None:
        if self._connection and self._connection.is_open:
            self._connection.close()
        self._connection = None


class ConfirmedPublisher(Publisher):
    """A channel in confirm mode, after pika's asynchronous publisher example; reopened after a loss.

    A BlockingConnection waits a round trip for every confirm. Here up to `WINDOW` messages are under
    way, and the caller's thread runs the connection's loop step by step, as BlockingConnection does.
    """

    def __init__(self, parameters: Parameters, queue: str, mode: pika.DeliveryMode) -> None:
        self._parameters = parameters
        self._queue = queue
        self._mode = mode
        self._connection: pika.SelectConnection | None = None
        self._channel: Any = None
        self._error: BaseException | None = None
        self._tag = 0
        self._unconfirmed: dict[int, int] = {}
        self._answered: list[Submission] = []

    def publish(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if self._channel is None:
                self._connect()
            self._send(job)
            yield from self._step()
            while len(self._unconfirmed) >= WINDOW:
                yield from self._step()
        while self._unconfirmed:
            yield from self._step()
        yield from self._take()

    def close(self) -> None:
        if self._connection is None:
            return
        if self._connection.is_open:
            self._connection.close()
        while not self._connection.is_closed:
            self._step()
        self._connection.ioloop.close()
        self._connection = self._channel = None

    def _connect(self) -> None:
        self.close()
        self._tag, self._error = 0, None
        loop = IOLoop()
        loop.activate_poller()
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._select),
            on_open_error_callback=self._lose,
            on_close_callback=self._lose,
            custom_ioloop=loop,
        )
        while self._channel is None and self._error is None:
            self._step()
        if self._error is not None:
            raise self._error

    def _select(self, channel: Any) -> None:
        def ready(_: object) -> None:
            self._channel = channel

        channel.add_on_close_callback(self._lose)
        channel.confirm_delivery(self._confirm, ready)

    def _send(self, job: JobSpec) -> None:
        body, properties = message(job, self._mode)
        self._channel.basic_publish("", self._queue, body, properties)
        self._tag += 1
        self._unconfirmed[self._tag] = job.id

    def _step(self) -> list[Submission]:
        """Write and read what can be, waiting where neither can; what was answered by now."""
        assert self._connection is not None
        self._connection.ioloop.poll()
        self._connection.ioloop.process_timeouts()
        return self._take()

    def _take(self) -> list[Submission]:
        answered, self._answered = self._answered, []
        return answered

    def _confirm(self, frame: Any) -> None:
        confirmed = frame.method
        last = confirmed.delivery_tag
        tags = list(takewhile(lambda tag: tag <= last, self._unconfirmed)) if confirmed.multiple else [last]
        status = "accepted" if isinstance(confirmed, Basic.Ack) else "rejected"
        self._answered += [Submission(self._unconfirmed.pop(tag), status) for tag in tags]

    def _lose(self, _: object, error: BaseException) -> None:
        self._error, self._channel = error, None
        self._answered += [Submission(id, "unknown") for id in self._unconfirmed.values()]
        self._unconfirmed.clear()
