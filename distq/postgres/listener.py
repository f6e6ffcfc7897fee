"""Hears NOTIFY on a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import psycopg
from psycopg import Notify

from distq.job import Heard
from distq.polling import readable
from distq.postgres.target import Target


class PostgresListener:
    """Listens in the schema's channel, where names of queues tell of ready jobs and `!name` a worker of a
    job to cancel, and in that of the ends; in each only where something there is asked for.
    """

    def __init__(self, target: Target, queues: Sequence[str], worker: str, ended: Sequence[str]) -> None:
        self._target = target
        self._queues, self._cancel, self._ended = frozenset(queues), f"!{worker}", frozenset(ended)
        wanted = {target.schema: bool(queues or worker), target.ended_channel: bool(ended)}
        self._channels = [channel for channel, is_wanted in wanted.items() if is_wanted]
        self._anything = Heard(bool(queues), bool(worker))
        self._connection: psycopg.Connection | None = None

    def wait(self, *, timeout: float, wakeup: int) -> Heard:
        """As the Protocol says. A lost connection only costs hints: the next round opens another."""
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
                return self._anything
            return self._understand(self._connection.notifies(timeout=0))
        except psycopg.Error:
            self.close()
            return Heard()

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.Connection.connect(**self._target.arguments)
        connection.execute("; ".join(f'LISTEN "{channel}"' for channel in self._channels).encode())
        return connection

    def _understand(self, notices: Iterable[Notify]) -> Heard:
        ready = cancel = False
        ended: set[str] = set()
        for channel, payload, _ in notices:
            if channel == self._target.schema:
                ready |= payload in self._queues
                cancel |= payload == self._cancel
            elif payload.partition(":")[0] in self._ended:
                ended.add(payload)
        return Heard(ready, cancel, frozenset(ended))

    def close(self) -> None:
        """As the Protocol says."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
