"""What holds of every command: its help, one line for a mistake, the application that it is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.main import get_command

from distq.cli import cli
from distq.storage import Storage
from tests.command_line import APP
from tests.command_line import environment as environment
from tests.command_line import module as module
from tests.command_line import storage as storage
from tests.command_line import url as url
from tests.commands import apart, distq
from tests.contract.steps import add

# -- help ------------------------------------------------------------------------------------------------

COMMANDS = [command.name or "" for command in get_command(cli).commands.values()]  # pyright: ignore


def test_help_names_every_command() -> None:
    listed = distq("--help")
    assert listed.status == 0
    assert " ".join(COMMANDS) == (
        "migrate worker serve enqueue show why list counts cancel replay pause resume purge prune doctor top"
    )
    assert all(f" {command} " in listed.out for command in COMMANDS)
    bare = distq()
    assert (bare.status, bare.out) == (2, listed.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    done = distq(command, "--help")
    assert done.status == 0
    if command != "worker":
        assert f"Example: distq {command}" in done.out
        assert "--json" in done.out


def test_the_shell_completes_commands() -> None:
    words = {"_DISTQ_COMPLETE": "complete_bash", "COMP_WORDS": "distq re", "COMP_CWORD": "1"}
    assert apart(**words).out.split() == ["replay", "resume"]


# -- mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cancel"], ("which jobs?", "--queue")),
        (["cancel", "id", "--queue", "mail"], ("by id, or by --queue and filters: leave out one of both",)),
        (["replay", "id", "--state", "dead"], ("leave out one of both",)),
        (["cancel", "--queue", "mail", "--state", "dead"], ("'dead' cannot be chosen", "ready")),
        (["replay", "--queue", "mail", "--state", "done"], ("'done' cannot be chosen", "dead")),
        (["purge", "mail", "--state", "leased"], ("'leased' cannot be chosen",)),
        (["purge", "a b"], ("cannot name a queue",)),
        (["prune"], ("--older", "--beyond")),
        (["prune", "--older", "soon"], ("--older: 'soon'", "7d")),
        (["list", "--state", "lost"], ("'--state': 'lost' is not one of", "list --help")),
        (["list", "--older", "1y"], ("--older: '1y'", "1h")),
        (["list", "--limit", "0"], ("--limit",)),
        (["pause"], ("Missing argument",)),
        (["frobnicate"], ("No such command 'frobnicate'",)),
        (["counts", "--nonsense"], ("--nonsense",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(
    arguments: list[str], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    distq(*arguments).refused(2, *words)


@pytest.mark.parametrize(
    "line",
    [
        "purge mail --task=",
        "purge mail --text=",
        "purge mail --older=",
        "list --task=",
        "cancel --queue mail --task=",
        "cancel --queue=",
        "replay --queue mail --text=",
        "prune --older= --beyond 1",
        "pause mail --schedule=",
        "enqueue t --queue=",
        "enqueue t --key=",
        "enqueue t --url=",
        "doctor --app=",
        "worker shop:app --queues=",
        "worker shop:app --url=",
    ],
)
def test_an_empty_value_is_refused_and_never_means_all(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    distq(*line.split()).refused(2, "Invalid value for '--", "it is empty")


def test_an_empty_name_of_a_queue_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    distq("list", "").refused(2, "it is empty")
    for command in ("counts", "purge", "pause", "prune --beyond 1"):
        distq(*command.split(), "").refused(2, "'' cannot name a queue")
    distq("worker", "shop:app", "--queues", ",").refused(2, "--queues ',' names no queue")


@pytest.mark.parametrize(
    "command",
    ["counts", "list", "pause", "resume", "purge", "prune --beyond 1", "cancel --queue", "replay --queue"],
)
def test_a_queue_of_which_nothing_is_known_is_told(url: str, storage: Storage, command: str) -> None:
    add(storage)
    done = distq(*command.split(), "mial")
    assert done.status == 0
    done.complained("queue mial: it has no job, no worker and no setting yet")
    assert distq("counts", "mail").err == ""


def test_a_url_is_needed() -> None:
    distq("counts").refused(2, "--url", "DISTQ_URL")
    distq("doctor").refused(2, "no storage is named", "--app")


# -- applications ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "attribute", "words"),
    [
        (APP, "", ("module:attribute",)),
        (APP, ":nothing", ("no attribute 'nothing'",)),
        (APP, ":number", ("a int, not a DistQ",)),
        ("import nowhere", ":app", ("cannot be imported", "No module named 'nowhere'", "line 1")),
        ("\n1/0", ":app", ("cannot be imported: ZeroDivisionError", "line 2")),
        ("x = (", ":app", ("cannot be imported: SyntaxError",)),
        ("from distq import DistQ\napp = DistQ('u:secret@h')", ":app", ("no storage takes", "line 2")),
    ],
)
def test_an_app_that_cannot_be_found_is_one_line(
    module: Callable[[str, str], str], text: str, attribute: str, words: tuple[str, ...]
) -> None:
    name = module("memory://", text)
    for command in (("worker", f"{name}{attribute}"), ("doctor", "--app", f"{name}{attribute}")):
        done = distq(*command)
        done.refused(2, *words)
        assert "secret" not in done.err
    distq("worker", "nowhere:app").refused(2, "no module named 'nowhere'")


def test_bad_options_are_refused(module: Callable[[str], str]) -> None:
    name = module("memory://")
    for option in ("--processes=0", "--concurrency=0", "--ttl=0", "--grace=-1"):
        distq("worker", f"{name}:app", option).refused(2, option.partition("=")[0])
    distq("worker", f"{name}:app", "--queues", "a b").refused(2, "cannot name a queue")
