"""Work that takes several operations, each after the answer to the last, written once for both worlds.

Steps are a generator that yields operations, is sent their answers, and returns the result of the whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

from distq.storage import Op, Storage

T = TypeVar("T")


class Pause(NamedTuple):
    """A step that waits for so many seconds."""

    seconds: float


Steps = Generator[Op[Any] | Pause, Any, T]


def do(op: Op[T]) -> Steps[T]:
    """One operation, for `yield from`: its answer has its type."""
    return (yield op)


def run(storage: Storage, steps: Steps[T]) -> T:
    """Take steps one after the other. Raises what the operations raise."""
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = time.sleep(step.seconds) if isinstance(step, Pause) else storage.run(step)


async def arun(storage: Storage, steps: Steps[T]) -> T:
    """`run` for coroutines."""
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = await (asyncio.sleep(step.seconds) if isinstance(step, Pause) else storage.arun(step))
