"""Passwords in URLs, wherever one turns up: in the command line, in an error, in a log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_IN_AUTHORITY = re.compile(r"(://[^\s/:@]*:)\S*(?=@)")
_IN_QUERY = re.compile(r"([?&]password=)[^\s&]*")


def mask(text: str) -> str:
    """The text with `***` for every password in a URL."""
    return _IN_QUERY.sub(r"\1***", _IN_AUTHORITY.sub(r"\1***", text))


def masked(value: Any) -> Any:
    """The same in all strings of lists and mappings, however deep."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return value
