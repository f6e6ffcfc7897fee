"""What distq says of its work: events here, spans in `tracing`, figures in `metering`.

Where the user has configured Logfire events are its logs; else records of the standard library's logger
`distq`, their fields apart.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

from pydantic_core import to_json

from distq.telemetry import quiet
from distq.telemetry.providers import logfire

Level = Literal["info", "warn", "error"]

_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_logger = logging.getLogger("distq")


def emit(level: Level, template: str, **fields: Any) -> None:
    """Record an event; `template` names its fields in braces."""
    if module := logfire():
        with quiet.interrupted():
            module.log(level, template, fields)
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
