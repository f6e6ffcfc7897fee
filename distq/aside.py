"""Calls that nobody need wait out: some waits of client libraries nothing interrupts."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

IDLE = 10.0
"""Seconds that a thread stays for the next call: to start one costs more than most calls."""

_Calls = SimpleQueue[tuple[Callable[[], Any], "Future[Any]"]]
_idle: deque[_Calls] = deque()
os.register_at_fork(after_in_child=_idle.clear)


def aside(function: Callable[[], T]) -> Future[T]:
    """Call a function in a thread of its own, which ends with the process; in the caller's context."""
    answer: Future[T] = Future()
    function = partial(copy_context().run, function)
    try:
        calls = _idle.pop()
    except IndexError:
        calls = _Calls()
        threading.Thread(target=_serve, args=(calls,), name="distq-aside", daemon=True).start()
    calls.put((function, answer))
    return answer


def _serve(calls: _Calls) -> None:
    while True:
        try:
            _answer(calls, *calls.get(timeout=IDLE))
        except Empty:
            try:
                _idle.remove(calls)
            except ValueError:  # somebody has just taken it
                continue
            return


def _answer(calls: _Calls, function: Callable[[], Any], answer: Future[Any]) -> None:
    try:
        value = function()
    except BaseException as error:  # noqa: BLE001
        _idle.append(calls)
        answer.set_exception(error)
    else:
        _idle.append(calls)
        answer.set_result(value)
