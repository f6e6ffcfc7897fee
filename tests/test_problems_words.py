"""What is wrong with a request is told by the place that its sender wrote, and in words for them."""

from __future__ import annotations

from typing import Any

import pytest

from distq.service import schemas
from tests.api import light as light
from tests.api import problem
from tests.services import Visitor

NAME = "should be a queue's name: 1 to 64 letters, digits, '_', '.' and '-'"


def flaws(visit: Visitor, path: str, body: Any = None, **options: Any) -> dict[str, str]:
    """What is wrong, by place; the detail says it too, in one line."""
    method = "GET" if body is None and not options else "POST"
    given = {"json": body} if body is not None else {}
    found = problem(visit(method, path, **given, **options), 422, "invalid-request")
    told = {flaw["where"]: flaw["what"] for flaw in found["flaws"]}
    assert found["detail"] == "; ".join(f"{where}: {what}" for where, what in list(told.items())[:3])
    return told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"delay": "5"}, {"delay": "should be a valid number"}),
        ({"delay": -1}, {"delay": "should be greater than or equal to 0"}),
        ({"priority": 1.5}, {"priority": "should be a valid integer"}),
        ({"run_at": "tomorrow"}, {"run_at": "should be a time, e.g. 2030-01-31T09:00:00Z"}),
        (
            {"run_at": "2030-01-31T09:00:00"},
            {"run_at": "should have a time zone, e.g. 2030-01-31T09:00:00Z"},
        ),
        ({"queue": "a b"}, {"queue": NAME}),
        ({"key": "a\0"}, {"key": "should be a text without NUL"}),
        ({"key": "k" * 600}, {"key": "should have at most 512 characters"}),
        ({"unique": "x"}, {"unique": "should be 'active' or 'waiting', or should be a valid number"}),
        ({"dely": 5}, {"dely": "is not known here"}),
        ({"a\nb": 5}, {"a b": "is not known here"}),
        ({"delay": "x", "retries": -1}, {"delay": "should be a valid number", "retries": "should be"}),
    ],
)
def test_an_option_is_told_where_it_stands(
    light: Visitor, options: dict[str, Any], told: dict[str, str]
) -> None:
    found = flaws(light, "/api/jobs", {"task": "shop.any", "options": options})
    assert found.keys() == {f"options.{name}" for name in told}
    assert all(found[f"options.{name}"].startswith(words) for name, words in told.items())


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/api/jobs", {}, {"task": "is missing"}),
        ("/api/jobs", [], {"body": "should be an object"}),
        ("/api/jobs", {"task": "a\nb"}, {"task": "should be one line of text, without NUL"}),
        ("/api/jobs", {"task": "shop.any", "args": {}}, {"args": "should be an array"}),
        ("/api/jobs", {"task": "shop.any", "kwargs": []}, {"kwargs": "should be an object"}),
        (
            "/api/jobs/batch",
            {"task": "shop.any", "calls": [{}, {"args": 5}, 7]},
            {"calls[1].args": "should be an array", "calls[2]": "should be an object"},
        ),
        (
            "/api/jobs/batch",
            {"task": "shop.any", "calls": []},
            {"calls": "should have at least 1 item, not 0"},
        ),
        (
            "/api/queues/mail/cancel",
            {"states": ["ready", "dead"]},
            {"states[1]": "should be 'scheduled', 'ready' or 'leased'"},
        ),
        (
            "/api/queues/mail/cancel",
            {"older": "5 days"},
            {"older": "should be a duration, e.g. 90s, 1h or 7d"},
        ),
        ("/api/queues/a b/pause", {}, {"path.queue": NAME}),
        ("/api/jobs?limit=x", None, {"query.limit": "should be a valid integer"}),
        ("/api/jobs?queue=mail&queue=a+b", None, {"query.queue[1]": NAME}),
        ("/api/jobs?after=!", None, {"query.after": "should be what the page before said"}),
        ("/api/jobs?lmit=3", None, {"query.lmit": "is not known here"}),
    ],
)
def test_a_place_is_what_was_written(light: Visitor, path: str, body: Any, told: dict[str, str]) -> None:
    assert flaws(light, path, body) == told


def test_what_is_no_json_and_what_is_nothing(light: Visitor) -> None:
    as_json = {"headers": {"Content-Type": "application/json"}}
    (words,) = flaws(light, "/api/jobs", content=b'{"task": }', **as_json).values()
    assert words == "should be JSON: Expecting value at character 9"
    assert flaws(light, "/api/jobs", content=b"", **as_json) == {"body": "is missing"}


def test_a_header_is_a_place_too(light: Visitor) -> None:
    told = flaws(light, "/api/jobs", {"task": "shop.any"}, headers={"Idempotency-Key": "a b"})
    assert told == {"header.idempotency-key": "should be 1 to 200 visible ASCII characters"}


def test_every_pattern_of_the_api_has_its_words(light: Visitor) -> None:
    described = light.value("/api/openapi.json")
    assert set(_patterns(described)) == set(schemas.PATTERNS)


def _patterns(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
        return own + [found for each in value.values() for found in _patterns(each)]
    return [found for each in value for found in _patterns(each)] if isinstance(value, list) else []
