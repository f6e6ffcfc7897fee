"""What tests share: waiting, the only place where they sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(predicate: Callable[[], T], timeout: float = 10) -> T:
    """Call `predicate` until it returns something true, and return that.

    Raises:
        AssertionError: it was still false after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (result := predicate()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s; the last answer was {result!r}"
        time.sleep(0.01)
    return result
