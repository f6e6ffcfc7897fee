"""Hears NOTIFY on a connection of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence

import psycopg
from psycopg import Notify

from distq.errors import StorageError
from distq.job import Heard
from distq.polling import readable
from distq.postgres.executor import Connection
from distq.postgres.positions import START, Positions
from distq.postgres.target import Target


class PostgresListener:
    """Listens in the schema's channel, where `queue@moment` tells of ready jobs, and since when in hundredths
    of a second, and `!name` a worker of a job to cancel; and in that of the ends. In each only where
    something there is asked for.
    """

    def __init__(
        self,
        target: Target,
        positions: Positions,
        call: Callable[[str], None],
        queues: Sequence[str],
        worker: str,
        ended: Sequence[str],
    ) -> None:
        """`call` says something in the schema's channel, on another connection."""
        self._target, self._positions, self._call = target, positions, call
        self._echo, self._hears = f"?{uuid.uuid4().hex}", False
        self._queues, self._cancel, self._ended = frozenset(queues), f"!{worker}", frozenset(ended)
        wanted = {target.schema: bool(queues or worker), target.ended_channel: bool(ended)}
        self._channels = [channel for channel, is_wanted in wanted.items() if is_wanted]
        self._anything = Heard(bool(queues), bool(worker))
        self._connection: Connection | None = None

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
        except (psycopg.Error, StorageError):
            self.close()
            return Heard()

    def _connect(self) -> Connection:
        connection = Connection.connect(**self._target.arguments)
        connection.execute("; ".join(f'LISTEN "{channel}"' for channel in self._channels).encode())
        if self._queues:
            self._call(self._echo)
        return connection

    def _understand(self, notices: Iterable[Notify]) -> Heard:
        cancel, ready = False, set[str]()
        ended: set[str] = set()
        for channel, payload, _ in notices:
            if channel == self._target.ended_channel:
                if payload.partition(":")[0] in self._ended:
                    ended.add(payload)
            elif payload.startswith(("!", "?")):
                cancel |= payload == self._cancel
                self._trust(payload == self._echo)
            else:
                queue, _, first = payload.partition("@")
                self._positions.hear(queue, int(first) / 100 if first else START)
                ready.add(queue)
        return Heard(not self._queues.isdisjoint(ready), cancel, frozenset(ended))

    def _trust(self, heard: bool) -> None:
        """Hints do arrive: behind a pooler of transactions they would not."""
        if heard and not self._hears:
            self._hears = True
            self._positions.listen(self._queues)

    def close(self) -> None:
        """As the Protocol says."""
        if self._hears:
            self._hears = False
            self._positions.ignore(self._queues)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
