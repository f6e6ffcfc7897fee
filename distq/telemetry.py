"""What distq says of its work: records of the standard library's logger `distq`, with their fields apart.

`logfire.LogfireLoggingHandler` takes them to Logfire, fields as attributes; without it they are
readable lines on the console.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

Level = Literal["info", "warn", "error"]

_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_logger = logging.getLogger("distq")


def emit(level: Level, template: str, **fields: Any) -> None:
    """Record an event; `template` names its fields in braces."""
    number = _LEVELS[level]
    if _logger.isEnabledFor(number):
        extra = {f"distq_{name}": value for name, value in fields.items()}
        _logger.log(number, template.format_map(fields), extra=extra)


def show_on_console() -> None:
    """Write records to standard error, a line each, unless the application has set up logging itself."""
    if not logging.getLogger().handlers and not _logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)
