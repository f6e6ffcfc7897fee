"""How a worker process hears that jobs are ready: from its pool, which listens for all its processes.

A *token* in a pipe is the right to ask the storage. Of the processes that wait at the pipe one takes it, and
passes it on where it found as many jobs as it had room for. So a hint costs one question, not one a process.
A token is lost with the process that took it: the maintenance pass finds what nobody asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from distq.polling import Crowd, nudge, readable, unblocking_pipe
from distq.storage import Storage
from distq.worker.board import Board


@dataclass(frozen=True, slots=True)
class Channel:
    """The descriptors that a pool shares with its processes."""

    board: int
    tokens: int
    """To take tokens from."""
    giver: int
    """To give tokens to."""

    @staticmethod
    def open(queues: Sequence[str]) -> Channel:
        """A new one; its descriptors belong to the caller."""
        return Channel(Board.allocate(len(queues)), *unblocking_pipe())


class Tokens:
    """The rights to ask. Safe from any thread."""

    def __init__(self, channel: Channel) -> None:
        self._tokens, self._giver = channel.tokens, channel.giver

    def give(self) -> None:
        """Let one of the processes ask."""
        nudge(self._giver, b"\0")

    def take(self) -> bool:
        """Take what there is. Returns whether there was any."""
        try:
            return bool(os.read(self._tokens, 65536))
        except BlockingIOError:
            return False


class Hints:
    """What one worker process hears. For the I/O thread."""

    def __init__(self, storage: Storage, queues: Sequence[str], channel: Channel, wakeup: int) -> None:
        """`wakeup` is a descriptor that ends a wait when it is readable."""
        self._storage, self._queues, self._wakeup = storage, queues, wakeup
        self.tokens, self.board = Tokens(channel), Board(channel.board, queues)
        self._crowd = Crowd(wakeup, channel.tokens)

    def wait(self, timeout: float, *, hungry: bool) -> bool:
        """Wait so many seconds for a token, where there is room for jobs. Returns whether it has one."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            woken = self._crowd.readable(left) if hungry else readable([self._wakeup], left)
            # Also who was not woken: who was may have died of something since.
            asks = hungry and self.tokens.take()
            # Another may have been faster.
            if asks or not woken or self._wakeup in woken:
                break
        if asks:
            self._crowd.requeue()
        if heard := self.board.read():
            self._storage.told(self._queues, heard)
        return asks
