"""What a task is declared with, and what one enqueue may change. Seconds throughout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypedDict, cast

from distq import retry
from distq.errors import ConfigurationError
from distq.ids import check_queue
from distq.job import HIGHEST_PRIORITY, Conflict, Hold, Unique
from distq.messages import encode_headers

Errors = type[BaseException] | tuple[type[BaseException], ...]

LONGEST_KEY = 512
"""Bytes of a key at most."""


HARD_AFTER = 5.0
"""Seconds after its timeout that a job is stopped the hard way, unless it says otherwise."""

_PER_CALL = ("retries", "timeout", "hard_timeout")
"""Options of a task's that one call may change: they travel in its headers."""


class Limits(NamedTuple):
    """How many seconds a job may run: until it is interrupted, and until its process is ended."""

    soft: float | None = None
    hard: float | None = None


NO_LIMITS = Limits()


class TaskOptions(TypedDict, total=False):
    """What a task may be declared with; `Options` has the defaults."""

    queue: str
    retries: int
    backoff: retry.Backoff
    jitter: float | None
    max_delay: float | None
    retry_on: Errors
    give_up_on: Errors
    timeout: float | None
    hard_timeout: float | None
    priority: int
    delay: float
    key: str
    unique: Literal["active", "waiting"] | float
    remember: float
    on_conflict: Literal["return", "replace", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options by name; `app.task` and `task.options` say which may be given where."""

    queue: str = "default"
    retries: int = 3
    backoff: retry.Backoff = "exponential"
    jitter: float | None = None
    max_delay: float | None = None
    retry_on: Errors = BaseException
    give_up_on: Errors = ()
    timeout: float | None = None
    hard_timeout: float | None = None
    priority: int = 0
    delay: float = 0.0
    run_at: datetime | None = None
    key: str = ""
    unique: Literal["active", "waiting"] | float = "active"
    remember: float = 0.0
    on_conflict: Literal["return", "replace", "error"] = "return"

    def __post_init__(self) -> None:
        check_queue(self.queue)
        _check("retries", self.retries, "a whole number, 0 or more", _whole(0))
        _check("priority", self.priority, "a whole number from 0 to 9", _whole(0, HIGHEST_PRIORITY))
        _check("delay", self.delay, "seconds, from 0 to a year", _seconds)
        for name in ("timeout", "hard_timeout"):
            value = getattr(self, name)
            _check(name, value, "seconds above 0", lambda v: v is None or (_seconds(v) and v > 0))
        _check("remember", self.remember, "seconds, from 0 to a year", _seconds)
        ordered = self.timeout is None or self.hard_timeout is None or self.timeout < self.hard_timeout
        _check("hard_timeout", self.hard_timeout, "more seconds than the timeout has", lambda _: ordered)
        _check("run_at", self.run_at, "a datetime with a time zone", _aware)
        _check("on_conflict", self.on_conflict, "'return', 'replace' or 'error'", lambda v: v in {*Conflict})
        known = self.unique in (Hold.ACTIVE, Hold.WAITING) or _seconds(self.unique)
        _check("unique", self.unique, "'active', 'waiting' or seconds", lambda _: known)
        lasting = self.remember == 0 or self.unique == Hold.ACTIVE
        _check("remember", self.remember, "unique='active' with it", lambda _: lasting)
        _check("key", self.key, f"a text of up to {LONGEST_KEY} bytes", _key)
        for name in ("retry_on", "give_up_on"):
            _check(name, getattr(self, name), "an exception type or a tuple of them", _errors)
        retry.parse(self.backoff, jitter=self.jitter, max_delay=self.max_delay)

    @property
    def claim(self) -> Unique | None:
        """The key as the storage takes it."""
        if not self.key:
            return None
        conflict = Conflict(self.on_conflict)
        if isinstance(self.unique, int | float):
            return Unique(self.key, Hold.WINDOW, float(self.unique), conflict)
        return Unique(self.key, Hold(self.unique), self.remember, conflict)

    def headers(self, declared: Options) -> bytes:
        """What a call with these options must tell the worker, which knows only the declared ones."""
        return encode_headers(
            {name: value for name in _PER_CALL if (value := getattr(self, name)) != getattr(declared, name)}
        )

    def limits(self, headers: Mapping[str, Any]) -> Limits:
        """How long a call with these headers may run."""
        soft = headers.get("timeout", self.timeout)
        hard = headers.get("hard_timeout", self.hard_timeout)
        if soft is None and hard is None:
            return NO_LIMITS
        return Limits(soft, soft + HARD_AFTER if soft is not None and hard is None else hard)


NAMES = frozenset(field.name for field in fields(Options))


def _check(name: str, value: Any, wanted: str, fits: Callable[[Any], bool]) -> None:
    if not fits(value):
        raise ConfigurationError(f"{name}={value!r}: use {wanted}")


def _whole(least: int, most: float = float("inf")) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _seconds(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= retry.FARTHEST


def _aware(value: Any) -> bool:
    return value is None or (isinstance(value, datetime) and value.tzinfo is not None)


def _key(value: Any) -> bool:
    try:
        return "\0" not in value and len(value.encode()) <= LONGEST_KEY
    except (TypeError, AttributeError, UnicodeEncodeError):
        return False


def _errors(value: Any) -> bool:
    types = cast(tuple[Any, ...], value if isinstance(value, tuple) else (value,))
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in types)
