"""The one connection of a pool that listens, and how its processes hear of it.

Redis and PostgreSQL wake all who listen. Where each process did it itself, a hint would wake them all, to ask
for a job that one of them gets.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from traceback import format_exc

from distq import telemetry
from distq.job import Heard
from distq.polling import nudge, readable, unblocking_pipe
from distq.storage import Storage
from distq.telemetry import quiet
from distq.worker.board import Board
from distq.worker.hints import Channel, Tokens

AGAIN = 1.0
"""Seconds between attempts to connect."""

PAUSE = 0.05
"""Seconds after a connection was made, or lost: a server may drop each one at once."""


class Hearing:
    """Listens in a thread of its own, for a storage may be silent."""

    def __init__(self, storage: Storage, queues: Sequence[str], notify: Callable[[], None]) -> None:
        """`notify` is called in the thread when there is something in `cancels`."""
        self._storage, self._queues, self._notify = storage, queues, notify
        self.channel = Channel.open(queues)
        """What the processes are given."""
        self.tokens = Tokens(self.channel)
        self.cancels = deque[str]()
        """Workers of whose jobs some are to be cancelled; an empty one means any."""
        self._board = Board(self.channel.board, queues)
        self._over, self._ender = unblocking_pipe()
        self._thread = threading.Thread(target=self._serve, name="distq-hearing", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End soon, without waiting for it. Twice is safe."""
        nudge(self._ender, b"\0")

    @quiet.keeping()
    def _serve(self) -> None:
        while not readable([self._over], 0):
            try:
                self._listen()
            except Exception:  # noqa: BLE001
                telemetry.emit("error", "hints are not heard\n{trace}", trace=format_exc())
                self._board.write(Heard(gap=True))
                readable([self._over], AGAIN)

    def _listen(self) -> None:
        with closing(self._storage.listener(queues=self._queues)) as listener:
            while not readable([self._over], 0):
                self._hear(listener.wait(timeout=AGAIN, wakeup=self._over))

    def _hear(self, heard: Heard) -> None:
        if heard:
            self._board.write(heard)
        if heard.ready or heard.gap:
            self.tokens.give()
        if heard.cancel or heard.gap:
            self.cancels.extend(heard.cancel or [""])
            self._notify()
        if heard.gap:
            readable([self._over], PAUSE)
