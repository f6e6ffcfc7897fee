"""What distq says to a terminal: log lines for people, or documents; also where it knows few letters."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from distq import CurrentJob, DistQ, telemetry
from tests.commands import ARGV
from tests.world import url_of

HOSTILE = "bad \x1b[2J\x9b\x07\r\n2026-01-01 00:00:00,000 INFO    all is well"


@contextmanager
def console(*, documents: bool = False) -> Iterator[DistQ]:
    """An app whose jobs run at once, and that writes to the console: nobody else has set up logging."""
    root, own = logging.getLogger(), logging.getLogger("distq")
    before = root.handlers, own.handlers, own.level
    root.handlers, own.handlers = [], []
    try:
        telemetry.show_on_console(json=documents)
        with DistQ("memory://").inline() as app:
            yield app
    finally:
        root.handlers, own.handlers = before[:2]
        own.setLevel(before[2])


def fail(app: DistQ, text: str) -> None:
    @app.task(name="fail", retries=0)
    def fail() -> None:
        raise ValueError(text)

    fail.enqueue()


def test_what_an_error_says_moves_no_cursor_and_looks_like_no_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with console() as app:
        fail(app, HOSTILE)
    first, second = capsys.readouterr().err.split("\n", 1)
    assert first.endswith(r" is dead: ValueError: bad \x1b[2J\x9b\x07\x0d")
    assert second == "    2026-01-01 00:00:00,000 INFO    all is well\n"


def test_documents_are_one_a_line_whatever_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with console(documents=True) as app:
        fail(app, HOSTILE)
        telemetry.emit("warn", "no file {name}", name=os.fsdecode(b"\xff"))
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["level"], first["type"], first["error"]) == ("error", "ValueError", HOSTILE)
    assert (second["message"], second["name"]) == ("no file \udcff", "\udcff")


def test_an_exception_of_the_web_server_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    with console(documents=True):
        try:
            raise KeyError("lost")
        except KeyError:
            logging.getLogger("distq.child").exception("it failed")
    (document,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert document["message"] == "it failed"
    assert document["trace"].endswith("KeyError: 'lost'")


class Shy(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_an_error_that_cannot_be_shown_costs_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    with console() as app:

        @app.on_error
        def shy(job: CurrentJob, error: BaseException) -> None:
            raise Shy

        fail(app, "the job's own")
    hook, dead = capsys.readouterr().err.splitlines()
    assert hook.endswith("the error hook failed: {error!r}")
    assert dead.endswith("ValueError: the job's own")


@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_a_terminal_without_utf_8_is_served(request: pytest.FixtureRequest, store: str) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    url = url_of(request, store)
    for command in ("migrate", "counts", "doctor"):
        argv = [*ARGV, command, "--url", url]
        done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **plain}, timeout=60)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr
