"""What a task is declared with, and what one enqueue may change. Seconds throughout."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypedDict, cast

from distq import retry
from distq.checks import check, optional, seconds, whole
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

_OF_A_KEY = ("unique", "remember", "on_conflict")
"""Options that say something of the key."""


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
        check("retries", self.retries, "a whole number, 0 or more", whole(0))
        check("priority", self.priority, "a whole number from 0 to 9", whole(0, HIGHEST_PRIORITY))
        self._check_times()
        self._check_key()
        for name in ("retry_on", "give_up_on"):
            check(name, getattr(self, name), "an exception type or a tuple of them", _errors)
        retry.parse(self.backoff, jitter=self.jitter, max_delay=self.max_delay)

    def _check_times(self) -> None:
        retry.check_wait("delay", self.delay)
        check(
            "run_at", self.run_at, "a datetime with a time zone, at most a year from now", optional(_moment)
        )
        if self.delay and self.run_at:
            raise ConfigurationError(f"delay={self.delay!r} and run_at= exclude each other: use one of them")
        for name in ("timeout", "hard_timeout"):
            check(name, getattr(self, name), "seconds above 0", optional(seconds(retry.FARTHEST, above=0)))
        ordered = self.timeout is None or self.hard_timeout is None or self.timeout < self.hard_timeout
        check("hard_timeout", self.hard_timeout, "more seconds than the timeout has", lambda _: ordered)

    def _check_key(self) -> None:
        check("key", self.key, f"a text of up to {LONGEST_KEY} bytes", _key)
        check("unique", self.unique, "'active', 'waiting' or seconds above 0, up to a year", _unique)
        check(
            "on_conflict", self.on_conflict, "'return', 'replace' or 'error'", lambda v: v in tuple(Conflict)
        )
        retry.check_wait("remember", self.remember)
        lasting = self.remember == 0 or self.unique == Hold.ACTIVE
        check("remember", self.remember, "unique='active' with it", lambda _: lasting)

    @property
    def claim(self) -> Unique | None:
        """The key as the storage takes it. Raises ConfigurationError where there is none to be unique."""
        if not self.key:
            if idle := [name for name in _OF_A_KEY if getattr(self, name) != _DEFAULTS[name]]:
                raise ConfigurationError(f"{idle[0]}={getattr(self, idle[0])!r} is of no use without a key=")
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


_DEFAULTS = {field.name: field.default for field in fields(Options)}
NAMES = frozenset(_DEFAULTS)


def _moment(value: Any) -> bool:
    aware = isinstance(value, datetime) and value.tzinfo is not None
    return aware and value.timestamp() <= time.time() + retry.FARTHEST


def _unique(value: Any) -> bool:
    return value in (Hold.ACTIVE, Hold.WAITING) or seconds(retry.FARTHEST, above=0)(value)


def _key(value: Any) -> bool:
    try:
        return "\0" not in value and len(value.encode()) <= LONGEST_KEY
    except (TypeError, AttributeError, UnicodeEncodeError):
        return False


def _errors(value: Any) -> bool:
    types = cast(tuple[Any, ...], value if isinstance(value, tuple) else (value,))
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in types)
