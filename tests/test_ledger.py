"""The ledger, the gate and the handler that writes the one and waits at the other."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.base import Cell
from scenarios import gate, ledger, records
from scenarios.gate import Gate
from scenarios.handler import LedgerHandler
from scenarios.layout import Layout
from scenarios.ledger import RECORD, Moment, Writer
from tests.helpers import eventually

WRITE_FOREVER = """
import sys
from pathlib import Path
from scenarios.ledger import Moment, Writer

writer, job = Writer(Path(sys.argv[1])), 0
while True:
    writer.add(Moment.SENT, job)
    writer.add_batch(range(job, job + 100))
    job += 1
"""

LOADED = """
import sys
import scenarios.pool, scenarios.handler
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def written(directory: Path) -> list[tuple[int, int]]:
    """The moments and jobs of all records, in order of time."""
    found = records.read(directory)
    return [(int(row["moment"]), int(row["job"])) for row in sorted(found, key=lambda row: row["time_ns"])]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.add(Moment.STARTED, 7)
    writer.add(Moment.FINISHED, 7)
    assert written(tmp_path) == [(Moment.STARTED, 7), (Moment.FINISHED, 7)]
    found = records.read(tmp_path)
    assert set(found["pid"].tolist()) == {os.getpid()}
    assert records.jobs(tmp_path, Moment.FINISHED) == {7}


def test_an_empty_ledger_has_no_records(tmp_path: Path) -> None:
    assert len(records.read(tmp_path)) == 0
    assert records.gate_opened_ns(tmp_path) is None
    assert ledger.at_most_finished(tmp_path) == 0


def test_a_batch_is_a_start_and_a_finish_of_each_job(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.add_batch([1, 2])
    writer.add_batch([])
    writer.add_batch([3])
    found = records.read(tmp_path)
    assert sorted(found[["moment", "job"]].tolist()) == [
        (moment, job) for moment in (Moment.STARTED, Moment.FINISHED) for job in (1, 2, 3)
    ]
    assert len(set(found["time_ns"].tolist())) == 2


def test_a_batch_of_settled_jobs_is_no_finish(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.add_settled([1, 2])
    writer.add_settled([3])
    assert sorted(written(tmp_path)) == [(Moment.SETTLED, job) for job in (1, 2, 3)]
    assert len(set(records.read(tmp_path)["time_ns"].tolist())) == 2
    assert ledger.at_most_finished(tmp_path) == 0


def test_every_record_survives_the_death_of_its_writer(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, tmp_path]) as writer:
        eventually(lambda: ledger.at_most_finished(tmp_path) > 5000)
        writer.kill()
    (path,) = tmp_path.glob("*.moments")
    kept = path.stat().st_size // RECORD.size
    assert records.jobs(tmp_path, Moment.SENT) == set(range(kept))
    assert set(records.read(tmp_path)["pid"].tolist()) == {writer.pid}
    # The last batch, or the record before it, was the last thing that it did.
    assert max(records.jobs(tmp_path, Moment.FINISHED)) in (kept + 97, kept + 98)


def test_a_record_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.add(Moment.FINISHED, 1)
    writer.add_batch([2, 3])
    writer.add_settled([2, 3])
    whole = written(tmp_path)
    writer.add(Moment.FINISHED, 4)
    writer.add_batch([5, 6])
    writer.add_settled([5, 6])
    for path in tmp_path.iterdir():
        os.truncate(path, path.stat().st_size - 5)
    assert written(tmp_path) == whole


def test_the_sizes_of_the_files_bound_what_has_finished(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for job in range(10):
        writer.add(Moment.STARTED, job)
        writer.add(Moment.FINISHED, job)
    assert ledger.at_most_finished(tmp_path) == 10
    writer.add_batch(range(10, 30))
    assert 30 <= ledger.at_most_finished(tmp_path) <= 33
    writer.add_settled(range(30))
    assert 30 <= ledger.at_most_finished(tmp_path) <= 33


def make_handler(directory: Path, *, processes: int = 1, work: str = "noop") -> LedgerHandler:
    cell = Cell(
        adapter="null", namespace="test", urls={}, directory=directory, processes=processes, work=work
    )
    Layout(directory).create()
    return LedgerHandler(cell)


@contextmanager
def forked(handler: LedgerHandler, job: int) -> Iterator[int]:
    """A forked process that runs the job. Gives its pid."""
    with in_fork(handler, job, "") as pid:
        yield pid


@contextmanager
def in_fork(function: Callable[..., object], *arguments: object) -> Iterator[int]:
    """A forked process that calls the function. Gives its pid."""
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    assert process.pid
    try:
        yield process.pid
    finally:
        process.join(10)
        assert process.exitcode == 0
        process.close()


def test_the_handler_records_and_answers(tmp_path: Path) -> None:
    handler = make_handler(tmp_path)
    assert handler(5, "abc") == 8
    handler.batch([6, 7])
    assert written(tmp_path / "ledger")[:3] == [
        (Moment.GATE, os.getpid()),
        (Moment.STARTED, 5),
        (Moment.FINISHED, 5),
    ]
    assert records.jobs(tmp_path / "ledger", Moment.FINISHED) == {5, 6, 7}


def test_the_work_lies_between_start_and_finish(tmp_path: Path) -> None:
    make_handler(tmp_path, work="sleep:20")(1, "")
    times = sorted(records.read(tmp_path / "ledger")["time_ns"].tolist())
    assert times[-1] - times[-2] >= 20e6


def test_a_forked_process_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    handler = make_handler(tmp_path)
    handler(1, "")
    with forked(handler, 2) as child:
        pass
    found = records.read(tmp_path / "ledger")
    assert {(pid, job) for moment, job, _, pid in found.tolist() if moment == Moment.FINISHED} == {
        (os.getpid(), 1),
        (child, 2),
    }


def test_who_only_acknowledges_does_not_come_to_the_gate(tmp_path: Path) -> None:
    handler, watch = make_handler(tmp_path, processes=2), Gate(tmp_path / "gate", 2)
    handler.settled([1])
    assert watch.arrived() == 0
    assert written(tmp_path / "ledger") == [(Moment.SETTLED, 1)]


def test_a_fork_of_who_acknowledges_is_a_worker_like_any_other(tmp_path: Path) -> None:
    handler, watch = make_handler(tmp_path), Gate(tmp_path / "gate", 1)
    handler.settled([1])
    with forked(handler, 2) as child:
        pass
    handler.settled([2])
    with in_fork(handler.settled, [3]) as other:
        pass
    found = [(moment, job, pid) for moment, job, _, pid in records.read(tmp_path / "ledger").tolist()]
    assert watch.arrived() == 1
    assert (Moment.FINISHED, 2, child) in found
    assert sorted(row for row in found if row[0] == Moment.SETTLED) == [
        (Moment.SETTLED, 1, os.getpid()),
        (Moment.SETTLED, 2, os.getpid()),
        (Moment.SETTLED, 3, other),
    ]


def test_the_gate_opens_when_every_process_is_there(tmp_path: Path) -> None:
    handler, watch = make_handler(tmp_path, processes=3), Gate(tmp_path / "gate", 3)
    with forked(handler, 1), forked(handler, 2):
        eventually(lambda: watch.arrived() == 2)
        assert not watch.is_open()
        assert records.gate_opened_ns(tmp_path / "ledger") is None
        handler(3, "")
        assert watch.is_open()
    assert records.jobs(tmp_path / "ledger", Moment.FINISHED) == {1, 2, 3}
    found = records.read(tmp_path / "ledger")
    passed = found["time_ns"][found["moment"] == Moment.GATE]
    assert records.gate_opened_ns(tmp_path / "ledger") == passed.min()
    assert (found["time_ns"][found["moment"] == Moment.STARTED] >= passed.min()).all()


def test_who_loses_patience_opens_the_gate_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PATIENCE_S", 0.05)
    watch = Gate(tmp_path / "gate", 3)
    make_handler(tmp_path, processes=3)(1, "")
    assert watch.is_open()
    assert watch.arrived() == 1
    monkeypatch.setattr(gate, "PATIENCE_S", 600)
    with forked(make_handler(tmp_path, processes=3), 2):
        pass
    assert watch.arrived() == 2


def test_all_threads_of_a_process_wait_at_the_gate(tmp_path: Path) -> None:
    handler, watch = make_handler(tmp_path, processes=2), Gate(tmp_path / "gate", 2)
    threads = [threading.Thread(target=handler, args=(job, "")) for job in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: watch.arrived() == 1)
    assert records.jobs(tmp_path / "ledger", Moment.STARTED) == set()
    (tmp_path / "gate" / "another").touch()
    for thread in threads:
        thread.join()
    assert records.jobs(tmp_path / "ledger", Moment.FINISHED) == {0, 1, 2, 3}
    assert len(list((tmp_path / "ledger").iterdir())) == 1


def test_a_worker_imports_nothing_heavy() -> None:
    environment = os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True
    )
    heavy = {"pandas", "numpy", "psutil", "rich", "matplotlib", "logfire", "opentelemetry"}
    assert set(done.stdout.split()) & heavy == set()
