"""Waiting for descriptors. Not `select.select`, which fails in a process with a thousand of them open."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable


def readable(descriptors: Iterable[int], timeout: float) -> set[int]:
    """Those that can be read from, or are at their end, within `timeout` seconds."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(max(timeout, 0) * 1000)}


class Crowd:
    """Waits for a descriptor of its own, and for one that other processes wait for too: of all who wait for
    that, the kernel wakes one, where it can (Linux). Who is woken and reads nothing leaves the others asleep.
    """

    def __init__(self, own: int, shared: int) -> None:
        self._both = own, shared
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll:
            self._epoll.register(own, select.EPOLLIN)
            self._join(self._epoll)

    def readable(self, timeout: float) -> set[int]:
        """Those that can be read from within `timeout` seconds."""
        if not self._epoll:
            return readable(self._both, timeout)
        return {descriptor for descriptor, _ in self._epoll.poll(max(timeout, 0))}

    def requeue(self) -> None:
        """Be woken after all others from now on: the kernel goes by the order in which they came."""
        if self._epoll:
            self._epoll.unregister(self._both[1])
            self._join(self._epoll)

    def _join(self, epoll: select.epoll) -> None:
        epoll.register(self._both[1], select.EPOLLIN | select.EPOLLEXCLUSIVE)


def unblocking_pipe() -> tuple[int, int]:
    """A new pipe, the end to read from first; to read from it, or to write, never waits."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def nudge(descriptor: int, what: bytes) -> None:
    """Write to a pipe that somebody waits at, unless it is full: then there is enough to read already."""
    try:
        os.write(descriptor, what)
    except BlockingIOError:
        return
