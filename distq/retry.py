"""Back-off: how long a failed job waits before its next try. Pure functions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

from distq.checks import check, optional, seconds
from distq.errors import ConfigurationError

Backoff = Literal["exponential", "linear"] | float | Sequence[float] | Callable[[int], float]
"""A named curve, a fixed number of seconds, a list of them, or a function of the attempt (1, 2, …)."""

LONGEST = 3600.0
"""The cap of the named curves, in seconds."""


FARTHEST = 366 * 86_400.0
"""No job waits longer for its next try, in seconds."""


def check_wait(name: str, value: Any) -> None:
    """Raise ConfigurationError for what no job can wait."""
    check(name, value, "seconds, from 0 to a year", seconds(FARTHEST))


def delay(backoff: Callable[[int], float], attempt: int) -> float:
    """The seconds to wait after the failed attempt: what the function says, from 0 to `FARTHEST`.

    Raises ValueError or TypeError where that is no number, and whatever the function raises.
    """
    return bounded(backoff(attempt))


def bounded(seconds: float) -> float:
    """The seconds, from 0 to `FARTHEST`. Raises ValueError or TypeError where that is no number."""
    seconds = float(seconds)
    if math.isnan(seconds):
        raise ValueError("a delay is not a number")
    return min(max(seconds, 0.0), FARTHEST)


def parse(
    backoff: Backoff, *, jitter: float | None = None, max_delay: float | None = None
) -> Callable[[int], float]:
    """The delay in seconds as a function of the failed attempt's number, which starts at 1.

    `jitter` spreads each delay by up to that share of it, up and down: by default a quarter for the named
    curves, so that jobs that failed together do not return together, and nothing for what is given in
    numbers. `max_delay` caps it, by default at `LONGEST` for the named curves. A list's last entry repeats.

    Raises:
        ConfigurationError: not a back-off, a share or a cap.
    """
    check("jitter", jitter, "a share of the delay, from 0 to 1", optional(seconds(1)))
    check("max_delay", max_delay, "seconds, 0 or more", optional(_is_delay))
    curve = _curve(backoff)
    named = isinstance(backoff, str)
    share = (0.25 if named else 0.0) if jitter is None else jitter
    cap = (LONGEST if named else FARTHEST) if max_delay is None else max_delay
    return lambda attempt: _spread(curve(attempt), share, cap)


_is_delay = seconds(math.inf)


def _curve(backoff: Backoff) -> Callable[[int], float]:
    match backoff:
        case "exponential":
            return lambda attempt: 2.0 ** min(attempt, 32)
        case "linear":
            return lambda attempt: 10.0 * attempt
        case bool() | str():
            pass
        case int() | float() if backoff >= 0:
            return lambda _: float(backoff)
        case [*delays] if delays and all(_is_delay(delay) for delay in delays):
            return lambda attempt: float(delays[min(attempt, len(delays)) - 1])
        case function if callable(function):
            return function
    raise ConfigurationError(
        f"backoff={backoff!r}: use 'exponential', 'linear', seconds, a list of seconds, or a function"
    )


def _spread(seconds: float, share: float, cap: float) -> float:
    middle = min(seconds, cap)
    return random.uniform(middle * (1 - share), min(middle * (1 + share), cap)) if share else middle
