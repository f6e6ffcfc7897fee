"""`distq enqueue`, with an application and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from distq.storage import Storage
from tests.command_line import environment as environment
from tests.command_line import module as module
from tests.command_line import storage as storage
from tests.command_line import url as url
from tests.commands import distq


def test_enqueue_through_an_application(url: str, storage: Storage, module: Callable[[str], str]) -> None:
    reference = f"{module(url)}:app"
    ids = [
        distq("enqueue", "add", arguments, "--app", reference).out.strip()
        for arguments in ('{"a": 5}', "[5]")
    ]
    options = ("--queue", "bulk", "--delay", "60", "--priority", "0", "--key", "k")
    ids.append(distq("enqueue", "add", "[1, 2]", "--app", reference, *options, "--json").value["id"])
    first, second, third = distq("show", *ids, "--json").value
    assert (first["arguments"], first["queue"], first["priority"]) == ({"a": 5, "b": 1}, "mail", 4)
    assert second["arguments"] == first["arguments"]
    assert (third["arguments"], third["queue"], third["state"]) == ({"a": 1, "b": 2}, "bulk", "scheduled")
    assert (third["priority"], third["key"]) == (0, "k")


def test_the_applications_storage_is_used_unless_a_url_is_given(
    url: str, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    assert distq("enqueue", "add", "[1]", "--app", f"{module(url)}:app").status == 0
    elsewhere = f"{module('redis://127.0.0.1:1/0')}:app"
    assert distq("enqueue", "add", "[1]", "--app", elsewhere, "--url", url).status == 0
    distq("enqueue", "add", "[1]", "--app", f"{module('redis://127.0.0.1:1/0')}:app").refused(
        1, "127.0.0.1:1"
    )


def test_enqueue_without_an_application_checks_nothing(url: str) -> None:
    plain = distq("enqueue", "any.task", '{"x": [1, null]}')
    assert (plain.status, plain.err) == (0, "")
    other = distq("enqueue", "any.task", "--queue", "mail", "--delay", "60", "--priority", "9", "--key", "k")
    again = distq("enqueue", "any.task", "--queue", "mail", "--key", "k")
    assert again.out == other.out
    first, second = distq("show", plain.out.strip(), other.out.strip(), "--json").value
    assert (first["queue"], first["task"], first["arguments"]) == ("default", "any.task", {"x": [1, None]})
    assert (second["state"], second["priority"], second["key"]) == ("scheduled", 9, "k")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "[1"], ("not JSON",)),
        (["add", "5"], ("a JSON object, or a list",)),
        (["add", '["a"]'], ("needs --app",)),
        (["add", "--queue", "a b"], ("cannot name a queue",)),
        (["add", "--priority", "10"], ("--priority",)),
        (["add", "--delay", "-1"], ("--delay",)),
        (["add", "--delay", "1e12"], ("delay=", "a year")),
        (["add", "--key", "k" * 513], ("key=",)),
        (["a\nb"], ("cannot name a task",)),
        ([], ("Missing argument", "enqueue --help")),
    ],
)
def test_enqueue_mistakes(arguments: list[str], words: tuple[str, ...]) -> None:
    distq("enqueue", *arguments, "--url", "redis://127.0.0.1:1/0").refused(2, *words)


def test_enqueue_mistakes_with_an_application(module: Callable[[str], str]) -> None:
    reference = f"{module('redis://127.0.0.1:1/0')}:app"
    distq("enqueue", "add", '{"a": "x"}', "--app", reference).refused(2, "'add' are not valid: a:")
    distq("enqueue", "nope", "--app", reference).refused(2, "no task named 'nope'")
    distq("enqueue", "add").refused(2, "no storage is named", "DISTQ_URL")
