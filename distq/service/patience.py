"""A storage that is asked by many, and does not answer: nobody waits for it for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from distq.errors import StorageUnavailable
from distq.storage import Op, Storage

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that an operation may take."""

_under_way: set[asyncio.Task[Any]] = set()
"""Tasks that nobody else may hold."""


class Following:
    """A storage that is the one which `find` gives at the moment; an application may be moved to another."""

    def __init__(self, find: Callable[[], Storage]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)


class Patient(Following):
    """The same, and its coroutines end in time."""

    async def arun(self, op: Op[T], connection: Any = None) -> T:
        """Execute an operation. Raises StorageUnavailable too where no answer comes in time: whether it took
        effect is not known then.
        """
        storage = self._find()
        return await within(PATIENCE, storage.arun(op, connection), storage.where)


async def within(seconds: float, work: Coroutine[Any, Any, T], where: str) -> T:
    """The result of a coroutine that asks the storage at `where`. Raises StorageUnavailable where it takes
    longer. It is told to end then, but not waited for: a client library may take its time.
    """
    task = begin(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        raise StorageUnavailable(where, f"no answer within {seconds:g} s")
    return task.result()


def begin(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that goes on, and may fail, though nobody waits for it any more."""
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # it counts as seen: who waited has been told already
