"""What a job does beside being counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

LONGEST_S = 86_400.0


class Work(NamedTuple):
    """A job's work: a function, and about how long it takes."""

    run: Callable[[], object]
    seconds: float


def parse_work(text: str) -> Work:
    """`noop`, `sleep:MS` or `cpu:MS`. CPU work burns that much CPU time of its thread.

    Raises:
        ValueError: none of these, or longer than a day.
    """
    if text == "noop":
        return Work(_nothing, 0.0)
    kind, _, amount = text.partition(":")
    seconds = float(amount) / 1000
    if kind not in _KINDS or not 0 <= seconds <= LONGEST_S:
        raise ValueError(f"work {text!r}")
    return Work(partial(_KINDS[kind], seconds), seconds)


def _nothing() -> None:
    pass


def _burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


_KINDS: dict[str, Callable[[float], object]] = {"sleep": time.sleep, "cpu": _burn}
