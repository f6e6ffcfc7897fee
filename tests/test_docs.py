"""The pages for users: their code runs, their tables are those of the code, their links lead somewhere."""

from __future__ import annotations

import ast
import re
import socket
import uuid
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from typer.main import get_command

from distq import DistQ, Task, ids, job, options, retry
from distq import app as application
from distq.cli import cli
from distq.options import Options, TaskOptions
from distq.postgres import executor as postgres
from distq.redis import executor as redis
from distq.worker import execution, intake, outbox, settings
from tests.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md")))]

LINK = re.compile(r"""\]\(([^)\s"]+)(?: "([^"]*)")?\)""")

ONE, TWO = (f"mail:{digit * 32}" for digit in "12")


@pytest.fixture
def urls(request: pytest.FixtureRequest) -> dict[str, str]:
    """The storages, by what the pages call them: a place of its own in each; and a port that is free."""
    name = f"d{uuid.uuid4().hex[:12]}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    postgres_url, redis_url = (request.getfixturevalue(f"{store}_url") for store in ("postgres", "redis"))
    return {
        "postgresql://localhost/app": f"{postgres_url}?schema={name}",
        "redis://localhost": f"{redis_url}?prefix={name}",
        "dbname=app": postgres_url,
        "--port 8080": f"--port {port}",
        **{f":8080{path}": f":{port}{path}" for path in ("", "/ready", "/metrics", "/api/jobs")},
    }


@pytest.mark.parametrize("name", ["distq", "operations", "celery"])
def test_a_page_does_what_it_says(
    name: str, urls: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Page(DOCS / f"{name}.md", tmp_path, urls, monkeypatch).run() > 5


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        ("python", "1 + 1  # → 3"),
        ("python", "if True:\n    [1]  # → [2]"),
        ("python", "raise ValueError"),
        ("console", "$ echo hi\nho"),
        ("console", f"$ echo {ONE} {TWO}\n{ONE} {ONE}"),
        ("console", '$ distq --help || echo "status $?"'),
        ("console", "$ distq wary"),
        ("ini", "[Service]\nExecStart=/bin/distq worker shop:app --proceses 4"),
        ("ruby", "puts"),
    ],
)
def test_a_page_that_does_not_is_noticed(
    kind: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```python\n1 + 1  # → 2\n```\n\n```{kind}\n{block}\n```\n")
    with pytest.raises(Exception, match=r"page\.md, line 5|not run: {'ruby'}"):
        Page(page, tmp_path, {}, monkeypatch).run()


# -- links -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target, title in links(page):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target
        if title:
            assert title in functions(file), f"{target} has no {title}"


def test_each_promise_has_a_proof() -> None:
    promises = rows("docs/distq.md", "| distq promises | proof |")
    assert len(promises) > 15
    for promise, proof in promises:
        assert all(title.startswith("test_") for _, title in LINK.findall(proof)), promise
        assert LINK.findall(proof), promise


def test_what_distq_has_is_proven_and_what_it_has_not_is_said() -> None:
    table = rows("docs/coverage.md", "| Feature |")
    assert len(table) > 40
    for feature, *_, distq in table:
        proven = [title for _, title in LINK.findall(distq) if title.startswith("test_")]
        assert distq.startswith("✘") != bool(proven), feature
        assert distq.startswith(("✘", "[✔](", "[◐](")), feature


def links(page: str) -> Iterator[tuple[str, str]]:
    """The links within the repository, and their titles."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    return ((target, title) for target, title in LINK.findall(text) if "://" not in target)


@cache
def anchors(file: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


# -- tables ----------------------------------------------------------------------------------------------


def test_the_table_of_options_is_that_of_the_code() -> None:
    table = {row[0].strip("`"): row for row in rows("docs/distq.md", "| option | default | values |")}
    places = {"both": (True, True), "task": (True, False), "call": (False, True)}
    declared, called = get_type_hints(TaskOptions), signature(Task.options).parameters.keys() - {"self"}
    assert table.keys() == declared.keys() | called
    for name, (_, _, _, where, _) in table.items():
        assert (name in declared, name in called) == places[where], name
    defaults = {field.name: field.default for field in fields(Options)} | {"connection": None}
    shown = {name: row[1].strip("`") for name, row in table.items()}
    assert shown == {name: shown_as(defaults[name]) for name in table}


def shown_as(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else repr(value).replace("'", '"')


def test_the_options_of_an_application_are_those_of_the_code() -> None:
    (call,) = re.findall(r"`DistQ\(url, ([^`]*)\)`", (DOCS / "distq.md").read_text())
    parameters = list(signature(DistQ).parameters.values())[1:]
    assert re.split(r",\s+", call) == [f"{parameter.name}={parameter.default}" for parameter in parameters]


def test_the_options_of_a_worker_are_those_of_the_code() -> None:
    command = get_command(cli).commands["worker"]  # pyright: ignore
    options = {
        parameter.opts[0]: parameter.default for parameter in command.params if parameter.opts[0][0] == "-"
    }
    table = {name.strip("`"): default for name, default, _ in rows("docs/distq.md", "| option | default | |")}
    assert table.keys() == options.keys() - {"--help"}
    told = {"--processes": "the CPUs", "--queues": "all of the app's tasks", "--url": "the app's own"}
    assert table == {name: told.get(name) or shown_option(options[name]) for name in table}


def shown_option(default: Any) -> str:
    return "off" if default is False else f"`{default}`"


def test_limits_are_those_of_the_code() -> None:
    stated = " ".join(f"{what}: {limit}" for what, limit in rows("docs/distq.md", "| what | limit |"))
    payload = signature(DistQ).parameters["max_payload"].default
    assert {postgres.MAX_CONNECTIONS, redis.MAX_CONNECTIONS} == {10}
    for limit in (
        f"`max_payload`, {payload:,} bytes by default",
        f"{execution.LARGEST_RESULT:,} bytes; with more the job is dead",
        f"a key: {options.LONGEST_KEY} bytes",
        f"a queue's name: {ids.QUEUE_NAME.pattern.partition(',')[2].rstrip('}')} characters",
        f"before a try: {retry.FARTHEST / 86_400:.0f} days",
        f"the latest {job.HISTORY} of a job",
        f"a job survives: {job.CRASH_BUDGET - 1}; the third",
        f"in one call: `--batch`: {settings.BATCH} by default, {settings.LARGEST_BATCH:,} at most",
        f"in advance: fewer than `--batch`, and no more than {intake.HORIZON * 1000:.0f} ms",
        f"to be settled with: {outbox.GATHER * 1000:.0f} ms",
        f"or of an event loop: {postgres.MAX_CONNECTIONS}",
    ):
        assert limit in stated
    assert application.LONGEST_TTL // 365 // 86_400 == 10


def test_what_workers_say_is_what_the_code_says() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "distq").rglob("*.py"))
    templates = re.findall(r'emit\(\s*"(?:info|warn|error)",\s*"((?:[^"\\]|\\.)*)"', sources)
    known = [re.sub(r"\{.*?\}", "x", template).partition("\\n")[0] for template in templates]
    assert len(known) > 15
    for row in rows("docs/operations.md", "| line | means | do |"):
        for line in re.findall("`(.*?)`", row[0]):
            assert any(re.fullmatch(re.escape(line).replace("…", ".+"), said) for said in known), line


def test_commands_are_named_that_there_are() -> None:
    commands = get_command(cli).commands  # pyright: ignore
    for page in PAGES:
        for command, rest in re.findall(r"`distq ([a-z]+)([^`]*)`", (ROOT / page).read_text()):
            named = set(re.findall(r"--[a-z-]+", rest))
            assert named <= {name for option in commands[command].params for name in option.opts}, (
                page,
                command,
            )


def rows(page: str, head: str) -> list[list[str]]:
    """The rows of the table that begins with `head`."""
    _, _, rest = (ROOT / page).read_text().partition(f"\n{head}")
    table, _, _ = rest.partition("\n\n")
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
