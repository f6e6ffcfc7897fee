"""What distq says of its work: spans and logs of Logfire where the user has configured it.

Without it they are records of the standard library's logger `distq`, their fields apart, and nothing is
traced. Logfire is never imported from here: that takes longer than all of distq.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import to_json

from distq.control import Control

if TYPE_CHECKING:
    from distq.context import CurrentJob

Level = Literal["info", "warn", "error"]

_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_logger = logging.getLogger("distq")

TRACE = "trace"
"""The header that takes the trace's context from who enqueues to who runs, as W3C `traceparent` and such."""


def emit(level: Level, template: str, **fields: Any) -> None:
    """Record an event; `template` names its fields in braces."""
    if logfire := _logfire():
        logfire.log(level, template, fields)
        return
    number = _LEVELS[level]
    if _logger.isEnabledFor(number):
        extra = {f"distq_{name}": value for name, value in fields.items()}
        _logger.log(number, template.format_map(fields), extra=extra)


def show_on_console(*, json: bool = False) -> None:
    """Write records to standard error, a line each, unless the application has set up logging itself."""
    if not logging.getLogger().handlers and not _logger.handlers:
        handler = logging.StreamHandler()
        plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
        handler.setFormatter(_Documents() if json else plain)
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)


class _Documents(logging.Formatter):
    """Records as JSON: the time, the level, the message, and the fields that it names."""

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": record.created, "level": record.levelname.lower(), "message": record.getMessage()}
        fields = {
            name.removeprefix("distq_"): value
            for name, value in vars(record).items()
            if name.startswith("distq_")
        }
        return to_json(head | fields, fallback=str).decode()


def tracing() -> bool:
    """Whether there are spans at all."""
    return _logfire() is not None


@contextmanager
def enqueuing(task: str, queue: str) -> Iterator[Mapping[str, Any]]:
    """The span of an enqueue. Gives the headers by which the jobs' own spans join the trace."""
    logfire = _logfire()
    assert logfire
    with logfire.span("enqueue {task}", task=task, queue=queue):
        yield {TRACE: dict(logfire.get_context())}


@contextmanager
def running(job: CurrentJob) -> Iterator[None]:
    """The span of an attempt, in the trace of its enqueue. A `Retry`, `Snooze` or `Cancel` is no error."""
    logfire = _logfire()
    assert logfire
    said: Control | None = None
    with (
        logfire.attach_context(job.headers.get(TRACE, {})),
        logfire.span("job {task}", task=job.task, queue=job.queue, id=job.id, attempt=job.attempt) as span,
    ):
        try:
            yield
        except Control as control:
            span.set_attribute("outcome", type(control).__name__)
            said = control
    if said:
        raise said


def _logfire() -> Any | None:
    """Logfire, once the user has configured it. Asked for each job, so it is quick."""
    module = sys.modules.get("logfire")
    try:
        return module if module and module.DEFAULT_LOGFIRE_INSTANCE.config._initialized is True else None
    except AttributeError:  # it is being imported, or another version
        return None
