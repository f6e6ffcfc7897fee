"""Hears NOTIFY on a connection of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from math import inf

import psycopg
from psycopg import Notify

from distq.errors import StorageError
from distq.job import Heard
from distq.polling import readable
from distq.postgres.executor import Connection
from distq.postgres.positions import START
from distq.postgres.target import Target


class PostgresListener:
    """Listens in the schema's channel, where `queue@moment` tells of ready jobs, and since when in hundredths
    of a second, and `!name` a worker of a job to cancel; and in that of the ends. In each only where
    something there is asked for.
    """

    def __init__(
        self, target: Target, call: Callable[[str], None], queues: Sequence[str], ended: Sequence[str]
    ) -> None:
        """`call` says something in the schema's channel, on another connection."""
        self._target, self._call, self._echo = target, call, f"?{uuid.uuid4().hex}"
        self._queues, self._ended = frozenset(queues), frozenset(ended)
        wanted = {target.schema: bool(queues), target.ended_channel: bool(ended)}
        self._channels = [channel for channel, is_wanted in wanted.items() if is_wanted]
        self._connection: Connection | None = None

    def wait(self, *, timeout: float, wakeup: int) -> Heard:
        """As the Protocol says. It is sure when it has heard itself: behind a pooler of transactions no hint
        arrives.
        """
        deadline = time.monotonic() + timeout
        while not (heard := self._hear()):
            connection = self._connection
            watched = [wakeup] if connection is None else [wakeup, connection.fileno()]
            woken = readable(watched, deadline - time.monotonic())
            if not woken or wakeup in woken:
                break
        return heard

    def _hear(self) -> Heard:
        try:
            if self._connection is None:
                self._connection = self._connect()
                return Heard(gap=True)
            return self._understand(self._connection.notifies(timeout=0))
        except (psycopg.Error, StorageError):
            lost = self._connection is not None
            self.close()
            return Heard(gap=lost)

    def _connect(self) -> Connection:
        connection = Connection.connect(**self._target.arguments)
        connection.execute("; ".join(f'LISTEN "{channel}"' for channel in self._channels).encode())
        if self._queues:
            self._call(self._echo)
        return connection

    def _understand(self, notices: Iterable[Notify]) -> Heard:
        ready, cancel, ended, sure = dict[str, float](), set[str](), set[str](), False
        for channel, payload, _ in notices:
            if channel == self._target.ended_channel:
                if payload.partition(":")[0] in self._ended:
                    ended.add(payload)
            elif payload.startswith("!"):
                cancel.add(payload[1:])
            elif payload.startswith("?"):
                sure |= payload == self._echo
            else:
                queue, _, first = payload.partition("@")
                if queue in self._queues:
                    ready[queue] = min(ready.get(queue, inf), int(first) / 100 if first else START)
        return Heard(ready, frozenset(cancel), frozenset(ended), sure=sure)

    def close(self) -> None:
        """As the Protocol says."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
