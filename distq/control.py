"""What a task may raise or return instead of a result, to say what becomes of its job."""

from __future__ import annotations

from typing import Any

from pydantic_core import core_schema

from distq.checks import check, is_text
from distq.retry import check_wait


class Control(Exception):
    """Base of `Retry`, `Snooze` and `Cancel`. A delay or a reason that is none is a ConfigurationError."""

    def __init__(self, reason: str) -> None:
        check("reason", reason, "a text", is_text)
        super().__init__(reason)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """So that a task may be annotated `-> int | Snooze`: no result is ever one of these."""
        return core_schema.is_instance_schema(cls)


class Retry(Control):
    """The attempt failed: run again after `delay` seconds, or as the task's back-off says. Costs a try."""

    def __init__(self, delay: float | None = None, reason: str = "") -> None:
        super().__init__(reason or "the task asked for another try")
        if delay is not None:
            check_wait("delay", delay)
        self.delay = delay


class Snooze(Control):
    """Not now: run again after `delay` seconds. Costs no try."""

    def __init__(self, delay: float, reason: str = "") -> None:
        super().__init__(reason or "the task asked to be run later")
        check_wait("delay", delay)
        self.delay = delay


class Cancel(Control):
    """Do not run again: the job is cancelled, for the reason given."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "the task cancelled itself")
