"""What a user gives is checked here: one line says what was wrong, and what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distq.errors import ConfigurationError

FOREVER = 9e9
"""Seconds that nobody means, some 285 years: neither clocks nor waits can take more."""


def check(name: str, value: Any, wanted: str, fits: Callable[[Any], bool]) -> None:
    """Raise ConfigurationError for a value that does not fit: what it is, and what is wanted."""
    if not fits(value):
        raise ConfigurationError(f"{name}={value!r}: use {wanted}")


def whole(least: int, most: float = float("inf")) -> Callable[[Any], bool]:
    """A whole number within these."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def seconds(most: float = FOREVER, *, above: float = -1.0) -> Callable[[Any], bool]:
    """A number of seconds, 0 or more and above `above`."""
    return lambda value: (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= most
        and value > above
    )


def optional(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """That, or None."""
    return lambda value: value is None or fits(value)


def is_text(value: Any) -> bool:
    """A text, which may be empty."""
    return isinstance(value, str)


def is_name(value: Any) -> bool:
    """A text of one line."""
    return isinstance(value, str) and value != "" and "\n" not in value


def shown(function: Any) -> str:
    """What a message calls a function: where it is, or what it is instead."""
    name = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{name}" if name else repr(function)


def check_timeout(timeout: Any) -> None:
    """Raise ConfigurationError for what is no time to wait."""
    check("timeout", timeout, "seconds, 0 or more, or None to wait without limit", optional(seconds()))
