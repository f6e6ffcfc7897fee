"""The conformance kit: contenders that keep the contract pass, each fault is seen, and nothing is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters import check
from adapters.base import Cell, Promises, Service
from adapters.conformance import PromiseRow
from adapters.conformance.leftovers import files_of, leftovers
from adapters.conformance.pools import carriers
from adapters.conformance.probe import Notes
from adapters.conformance.row import broken_claims, patience_s
from adapters.registry import load
from tests.broken import BROKEN
from tests.conformity import COMMAND, ServerUrl, cell_file, examine, examine_cell
from tests.helpers import eventually
from tests.pools import ROOT

AT_ONCE = 5
"""Examinations that run side by side: each mostly waits."""

FAULTS = {
    "acks-early": "claims at least once, but a killed job did not run again within 5.2 s",
    "runs-twice": "jobs ran twice without a kill",
    "wrong-results": "results are missing or wrong: job 603 has -1, not 606",
    "loses-results": "claims that results are kept (a file in the run directory), but there are none",
    "leaves-process": "2 processes are left after SIGTERM: [",
    "leaves-files": "1 things are left after teardown(): null",
    "rejects": "submit: of 60 jobs 58 were accepted, with 59 submissions; job 605 was rejected",
    "counts": "depth() is 1 when every job has run, not 0",
    "dies": "the pool ended by itself, with status 1: RuntimeError: no luck",
    "down": "Nothing at 127.0.0.1:1 cannot be used: start it",
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes in whose registry the broken contenders are."""
    directory = tmp_path_factory.mktemp("site")
    program = f"from adapters.registry import REGISTRY\nREGISTRY.update({BROKEN})\n"
    (directory / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": f"{directory}{os.pathsep}{ROOT}"}


@pytest.fixture(scope="module")
def rows(
    broken: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Future[PromiseRow]]:
    """What is seen of each that needs no server."""

    def see(name: str) -> PromiseRow:
        return examine_cell(cell_file(name, tmp_path_factory.mktemp(name), {}), **broken)

    with ThreadPoolExecutor(AT_ONCE) as examiners:
        return {name: examiners.submit(see, name) for name in BROKEN.keys() - {"unfenced"}}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_problem(name: str, rows: Mapping[str, Future[PromiseRow]]) -> None:
    (problem,) = rows[name].result().problems
    assert FAULTS[name] in problem


def test_another_order_is_seen_and_no_problem(rows: Mapping[str, Future[PromiseRow]]) -> None:
    row = rows["runs-backwards"].result()
    assert (row.order, row.problems) == ("not kept", ())


def test_null(tmp_path: Path, server_url: ServerUrl) -> None:
    row = examine("null", tmp_path, server_url)
    assert row.problems == ()
    assert (row.delivery, row.acked, row.redelivery_s) == ("at most once", "before the run", None)
    assert (row.waited_s, row.results, row.order, row.fenced) == (2, "kept", "as submitted", None)
    assert re.fullmatch(r"\d+( or more)?", row.batch)


@pytest.mark.parametrize(("name", "batch"), [("distq-redis", None), ("rabbitmq-redis", "100")])
def test_at_least_once(name: str, batch: str | None, tmp_path: Path, server_url: ServerUrl) -> None:
    row = examine(name, tmp_path, server_url)
    assert row.problems == ()
    assert (row.delivery, row.acked) == ("at least once", "after the run")
    assert (row.results, row.order, row.fenced) == ("kept", "as submitted", None)
    assert row.redelivery_s is not None
    assert row.waited_s is not None
    assert 0 < row.redelivery_s < row.waited_s
    assert batch in (None, row.batch)


def test_the_full_form_sees_who_is_fenced(
    broken: dict[str, str], tmp_path_factory: pytest.TempPathFactory, server_url: ServerUrl
) -> None:
    urls = {Service.REDIS: server_url(Service.REDIS)}

    def see(name: str) -> PromiseRow:
        return examine_cell(cell_file(name, tmp_path_factory.mktemp(name), urls), "--full", **broken)

    with ThreadPoolExecutor(AT_ONCE) as examiners:
        fenced, unfenced = examiners.map(see, ("raw-redis", "unfenced"))
    assert (fenced.fenced, fenced.batch, fenced.problems) == (True, "200", ())
    claim = "claims to be fenced, but the result of a worker that had lost its job was kept"
    assert (unfenced.fenced, unfenced.problems) == (False, (claim,))


# -- claims ------------------------------------------------------------------------------------------------


def claims(**changes: object) -> Promises:
    return load("raw-redis").promises("matched").model_copy(update=changes)


@pytest.mark.parametrize(("claimed", "waited"), [(None, 2), (0.5, 5.5), (12.0, 24), (60.0, 120), (3600.0, 2)])
def test_how_long_a_killed_job_is_waited_for(claimed: float | None, waited: float) -> None:
    assert patience_s(claims(redelivery_s=claimed)) == waited


@pytest.mark.parametrize(
    ("claimed", "seen", "words"),
    [
        ({}, {}, ""),
        ({}, {"delivery": "at least once", "redelivery_s": 9.0, "results": "kept", "fenced": True}, ""),
        ({}, {"delivery": "at most once", "waited_s": 8.2}, "did not run again within 8.2 s"),
        ({"delivery": "at most once"}, {"delivery": "at most once"}, ""),
        ({"redelivery_s": None}, {"delivery": "at least once", "redelivery_s": 0.31}, "it did, after 0.3 s"),
        ({}, {"results": "none"}, "but there are none"),
        ({"results": "none"}, {"results": "none"}, ""),
        ({}, {"fenced": False}, "claims to be fenced"),
        ({"fenced": False}, {"fenced": False}, ""),
    ],
)
def test_a_claim_that_is_not_kept_is_a_problem(
    claimed: dict[str, object], seen: dict[str, object], words: str
) -> None:
    broken = list(broken_claims(claims(**claimed), PromiseRow.model_validate(seen)))
    assert len(broken) == bool(words)
    assert words in "".join(broken)


# -- ends --------------------------------------------------------------------------------------------------


def test_sigterm_leaves_nothing(tmp_path: Path, server_url: ServerUrl) -> None:
    file = cell_file("distq-redis", tmp_path, {Service.REDIS: server_url(Service.REDIS)})
    cell, notes = Cell.model_validate_json(file.read_bytes()), Notes(tmp_path)
    files = files_of(cell)
    process = subprocess.Popen([*COMMAND, file], cwd=ROOT)
    try:
        eventually(lambda: notes.moments("held"), timeout=30)
        assert carriers(notes.cell)
        assert list(leftovers(cell, files))
        process.terminate()
        assert process.wait(10) == 143
    finally:
        process.kill()
    assert carriers(notes.cell) == []
    assert list(leftovers(cell, files)) == []
    assert not (tmp_path / "conformance.json").exists()


def test_a_file_that_holds_no_cell_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, tmp_path / "none"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "holds no cell" in done.stderr


# -- python -m adapters.check --------------------------------------------------------------------------------


def checked(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "adapters.check", *words],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_check_shows_claims_beside_what_was_seen() -> None:
    done = checked("null")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "null claimed observed" in lines
    assert "acknowledged before the run, when claimed before the run" in lines
    assert "runs again never not within 2 s" in lines
    assert lines[-1].startswith("null conforms; examined in ")


def test_check_tells_problems_and_what_the_processes_said(broken: dict[str, str]) -> None:
    done = checked("dies", **broken)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "problem: the pool ended by itself, with status 1: RuntimeError: no luck" in lines
    assert any("raise RuntimeError" in line for line in lines)
    assert lines[-1].startswith("dies has problems; examined in ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["celery-reddis"], "did you mean celery-redis"),
        (["raw-redis", "--redis-url", "redis://:secret@127.0.0.1:1/0"], "127.0.0.1:1 does not answer"),
        (["null", "--fulll"], "unrecognized arguments: --fulll"),
        ([], "the following arguments are required: NAME"),
    ],
)
def test_check_refuses_in_one_line(words: list[str], why: str) -> None:
    refused(checked(*words), why)


def test_check_names_a_missing_library(tmp_path: Path) -> None:
    (tmp_path / "pika.py").write_text("raise ModuleNotFoundError(name='pika')\n")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    refused(checked("rabbitmq-redis", PYTHONPATH=path), "pip install 'distq[rabbitmq]'")


def test_check_names_a_missing_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scenarios.servers import RabbitMQServer, ServerError

    def find(_: object) -> None:
        raise ServerError("no RabbitMQ here: install it")

    monkeypatch.setattr(RabbitMQServer, "find", find)
    assert check.main(["rabbitmq-redis"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "python -m adapters.check: no RabbitMQ here: install it\n")


def refused(done: subprocess.CompletedProcess[str], why: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert why in done.stderr
    assert "secret" not in done.stderr


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that every user may enter: else it is not taken for the servers' files."""
    directory = Path(tempfile.mkdtemp(prefix="distq-check-", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def test_ctrl_c_on_check_leaves_nothing(scratch: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.check", "null"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            (moments,) = eventually(lambda: [*scratch.glob("distq-*/cell/conformance/moments")], timeout=30)
            assert carriers(moments.parent / "cell.json")
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, said) == (1, "python -m adapters.check: stopped\n")
    assert carriers(moments.parent / "cell.json") == []
    assert list(scratch.iterdir()) == []
