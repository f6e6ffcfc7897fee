"""What distq says of its work: events here; spans in `enqueuing`, `watch`, `settling`; metrics in `figures`.

Where the user has configured Logfire events are its logs; else records of the standard library's logger
`distq`, their fields apart.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Literal

from distq.telemetry import quiet
from distq.telemetry.providers import logfire

Level = Literal["info", "warn", "error"]

_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
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
        _logger.log(number, _filled(template, fields), extra=extra)


def _filled(template: str, fields: Mapping[str, Any]) -> str:
    try:
        return template.format_map(fields)
    # A user's error among them may refuse to be shown.
    except Exception:  # noqa: BLE001
        return template


def show_on_console(*, json: bool = False) -> None:
    """Write records to standard error, unless the application has set up logging itself."""
    if not logging.getLogger().handlers and not _logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Documents() if json else _Lines("%(asctime)s %(levelname)-7s %(message)s"))
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)


class _Lines(logging.Formatter):
    """Records for people. What is in an error's text neither moves the cursor nor looks like a record."""

    def format(self, record: logging.LogRecord) -> str:
        text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", super().format(record))
        return text.replace("\n", "\n    ")


class _Documents(logging.Formatter):
    """Records as JSON, a line each: the time, the level, the message, and the fields that it names."""

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": record.created, "level": record.levelname.lower(), "message": record.getMessage()}
        fields = {
            name.removeprefix("distq_"): value
            for name, value in vars(record).items()
            if name.startswith("distq_")
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(head | fields, default=str)
