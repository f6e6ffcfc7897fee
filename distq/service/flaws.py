"""What is wrong with a request: where, as who asks wrote it, and what it should be."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from distq.service.schemas import PATTERNS

MOST = 20
"""Flaws that are told at most: a body has room for a million."""

LONGEST_PLACE = 200
"""Characters of the place of a flaw."""

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "timezone_aware": "should have a time zone, e.g. 2030-01-31T09:00:00Z",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "list_type": "should be an array",
}
"""By the kind of error, where the library's own words are those of Python."""

_SUBJECTS = ("Input ", "String ", "List ", "Value ")
"""How the library's words begin: here the place stands before them."""


class Flaw(BaseModel):
    """One thing that is wrong with a request: where, and what it should be or is."""

    where: str = Field(examples=["options.delay", "calls[1].args", "query.limit"])
    what: str = Field(examples=["should be greater than or equal to 0"])


def flaws_of(error: RequestValidationError) -> list[Flaw]:
    """The flaws of a request. Of a place that may hold this or that, what is wrong with each is one flaw."""
    found: dict[str, list[str]] = {}
    for each in islice(error.errors(), MOST):
        found.setdefault(_place(each["loc"], error.body, each["type"]), []).append(_words(each))
    return [Flaw(where=place, what=", or ".join(words)) for place, words in found.items()]


def _place(location: tuple[Any, ...], body: Any, kind: str) -> str:
    source, *path = location
    if source != "body":
        return _written([source, *path])
    if kind == "json_invalid":
        return "body"
    return _written(_in_body(path, body, is_missing=kind == "missing")) or "body"


def _in_body(path: list[Any], value: Any, *, is_missing: bool) -> Iterable[Any]:
    """The parts of a path that lead through a body. The others name types of which it may be one."""
    for number, part in enumerate(path, 1):
        if isinstance(value, dict) and (part in value or (is_missing and number == len(path))):
            value = value.get(part)
            yield part
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
            yield part


def _written(parts: Iterable[Any]) -> str:
    """`calls[1].args`, in one line."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return " ".join(text.removeprefix(".").split())[:LONGEST_PLACE]


def _words(error: dict[str, Any]) -> str:
    kind, context, words = error["type"], error.get("ctx", {}), str(error["msg"])
    if kind == "json_invalid":
        return f"should be JSON: {context['error']} at character {error['loc'][-1]}"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], f"should match {context['pattern']!r}")
    if kind.startswith("datetime_"):
        return "should be a time, e.g. 2030-01-31T09:00:00Z"
    if kind.endswith("_parsing"):
        words = words.partition(", ")[0]  # what follows is how the parser failed
    for subject in _SUBJECTS:
        words = words.removeprefix(subject)
    return _WORDS.get(kind, words.replace(" after validation", ""))
