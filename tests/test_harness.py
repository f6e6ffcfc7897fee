"""One cell: what is measured, and what becomes of a contender that does not do as it should."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import psutil
import pytest

from adapters.base import AdapterError, Cell
from adapters.registry import REGISTRY
from scenarios import accounts, contender, drain, harness, measurement, records, sender
from scenarios.accounts import Record
from scenarios.catalogue import Setting
from scenarios.guard import Guard
from scenarios.harness import TORN_DOWN, Harness
from scenarios.layout import Layout
from scenarios.ledger import Moment
from scenarios.limits import Overdue, alarm, limit
from scenarios.measurement import Measurement
from scenarios.plan import Failed, Plan, Result
from scenarios.servers.disk import find_disk
from scenarios.workload import Workload
from tests import contenders
from tests.contenders import LOST, STRANGER, TWICE
from tests.helpers import eventually

JOBS = 20


class Measured(NamedTuple):
    """What a cell came to."""

    row: dict[str, Any]
    jobs: pd.DataFrame
    result: Result

    def ids(self, moment: str) -> set[int]:
        """The jobs that have this moment."""
        return set(self.jobs.loc[self.jobs[moment].notna(), "job"])


MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    def make(adapter: str, *, work: str = "noop", concurrency: int = 1, **workload: Any) -> Plan:
        cell = Cell(
            adapter=adapter,
            processes=2,
            concurrency=concurrency,
            work=work,
            namespace="distq_test_harness",
            urls={},
            directory=tmp_path / "cell",
        )
        return Plan(cell=cell, workload=Workload(**{"jobs": JOBS} | workload), server_pids=[])

    return make


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes in the registry, also of the pools; and no long waits."""
    for name, place in contenders.FAKES.items():
        monkeypatch.setitem(REGISTRY, name, place)
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")
    monkeypatch.chdir(Path(__file__).parent.parent)
    monkeypatch.setattr(contender, "COMMAND", contenders.command("scenarios.pool"))
    monkeypatch.setattr(drain, "QUIET_S", 0.3)
    for module in (sender, drain):
        monkeypatch.setattr(module, "PATIENCE_S", 0.2)


def measure(plan: Plan) -> Measured:
    """Measure a cell in this process, and account for it."""
    result = Harness(plan).measure()
    row, jobs = account(plan, result)
    assert jobs is not None
    assert [process for process in psutil.process_iter() if carries(process, plan)] == []
    return Measured(row, jobs, result)


def account(plan: Plan, result: Result) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """The row of the summary and the rows of the jobs, as the runner makes them."""
    own = plan.workload.model_dump(exclude={"seed"})
    setting = Setting(**own, workers=plan.cell.processes, work=plan.cell.work)
    known = {"cell": "b1", "block": 1, "adapter": plan.cell.adapter, "tier": plan.cell.tier, "seed": 1}
    bare = any(Layout(plan.cell.directory).ledger.glob("*.batches"))
    jobs = accounts.job_rows(plan, result)
    return accounts.row("run", Record(**known, setting=setting, result=result, bare=bare), jobs), jobs


def carries(process: psutil.Process, plan: Plan) -> bool:
    try:
        return str(Layout(plan.cell.directory).cell) in process.environ().values()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def counts(row: dict[str, Any]) -> tuple[int, int, int, int]:
    return row["lost"], row["duplicated"], row["unexpected"], row["censored"]


def test_a_burst(make_plan: MakePlan) -> None:
    row, jobs, result = measure(make_plan("null"))
    assert (row["status"], row["reason"], counts(row)) == ("ok", "", (0, 0, 0, 0))
    assert jobs["job"].tolist() == list(range(JOBS))
    assert jobs["intended_ns"].unique().tolist() == [result.began_ns]
    moments = jobs[["intended_ns", "sent_ns", "started_ns", "finished_ns"]]
    assert moments.T.apply(lambda moment: moment.is_monotonic_increasing).all()
    assert (jobs["accepted_ns"] >= jobs["sent_ns"]).all()
    assert jobs["starts"].eq(1).all()
    assert 1 <= jobs["pid"].nunique() <= 2
    measured_s = (jobs["finished_ns"].max() - jobs["sent_ns"].min()) / 1e9
    assert row["measured_s"] == pytest.approx(measured_s)
    assert row["jobs_per_s"] == pytest.approx(JOBS / measured_s)
    assert 0 < row["start_p50_ms"] <= row["finish_p50_ms"] <= row["finish_p99_ms"]
    assert 0 < row["enqueue_s"] < 1
    assert row["negative_latencies"] == 0
    assert "startup_s" not in row
    assert "broker_cpu_s" not in row
    assert row["worker_cpu_s"] >= 0
    assert row["peak_rss_mb"] > 10
    assert result.settings["broker"]


def test_a_backlog_counts_from_the_opening_of_the_gate(make_plan: MakePlan) -> None:
    row, jobs, result = measure(make_plan("null", shape="backlog"))
    assert (row["status"], row["reason"], counts(row)) == ("ok", "", (0, 0, 0, 0))
    (opened,) = jobs["intended_ns"].unique().tolist()
    assert opened == result.began_ns
    assert (jobs["accepted_ns"] < opened).all()
    assert (jobs["started_ns"] >= opened).all()
    assert row["measured_s"] == pytest.approx((jobs["finished_ns"].max() - opened) / 1e9)
    assert row["jobs_per_s"] == pytest.approx(JOBS / row["measured_s"])
    assert 0.01 < row["startup_s"] < 20


def test_a_steady_load_is_sent_as_it_is_intended(make_plan: MakePlan) -> None:
    plan = make_plan("null", shape="steady", rate=200.0)
    row, jobs, result = measure(plan)
    assert (row["status"], row["reason"], counts(row)) == ("ok", "", (0, 0, 0, 0))
    assert result.began_ns
    offsets = [round(offset * 1e9) for offset in plan.workload.offsets_s()]
    assert (jobs["intended_ns"] - result.began_ns).tolist() == offsets
    assert (jobs["sent_ns"] >= jobs["intended_ns"]).all()
    assert row["watched_s"] >= plan.workload.lasts_s == JOBS / 200
    assert 0.2 < row["sent_share"] <= 1
    assert 0 <= row["sent_lag_s"] < 0.25
    assert 0 < row["send_p50_ms"] <= row["send_p99_ms"] <= row["start_p99_ms"]
    latency = (jobs["started_ns"] - jobs["intended_ns"]) / 1e6
    assert row["start_p99_ms"] == pytest.approx(latency.max())


def test_a_churn_sends_as_fast_as_others_finish(make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "IN_FLIGHT", 40)
    row, jobs, _ = measure(make_plan("null", shape="churn", jobs=300))
    assert (row["status"], row["reason"], counts(row)) == ("ok", "", (0, 0, 0, 0))
    assert jobs["intended_ns"].equals(jobs["sent_ns"])
    moments = [(at, 1) for at in jobs["sent_ns"]] + [(at, -1) for at in jobs["finished_ns"]]
    under_way = accumulate(step for _, step in sorted(moments))
    assert max(under_way) <= 40 + 4  # a record of a start counts half
    assert 0 <= row["slowest_tenth"] <= 1


def test_what_lies_behind_takes_no_part(make_plan: MakePlan) -> None:
    row, jobs, _ = measure(make_plan("null", shape="backlog", behind=5_000))
    assert (row["status"], row["reason"], counts(row)) == ("ok", "", (0, 0, 0, 0))
    assert jobs["job"].tolist() == list(range(JOBS))
    assert row["at_risk"] <= 0  # `null` forgets a job before it runs


def test_a_load_that_the_contender_held_up_is_invalid(make_plan: MakePlan) -> None:
    row, *_ = measure(make_plan("slow", shape="steady", rate=200.0, jobs=40))
    assert row["status"] == "invalid"
    assert re.fullmatch(r"the producer, or what it waited for, sent only \d+\.\d% of the rate", row["reason"])


def test_a_backlog_smaller_than_the_pool_says_so(make_plan: MakePlan) -> None:
    row, *_ = measure(make_plan("null", shape="backlog", jobs=1))
    assert row["status"] == "ok"
    assert row["reason"] == "only 1 of 2 worker processes had a job when the gate opened"


def test_a_contender_without_concurrency_says_so(make_plan: MakePlan) -> None:
    row, *_ = measure(make_plan("null", concurrency=4))
    assert row["status"] == "ok"
    assert "one job at a time" in row["reason"]


def test_a_lost_job_fails_the_cell(make_plan: MakePlan) -> None:
    row, jobs, _ = measured = measure(make_plan("lossy"))
    assert (row["status"], row["reason"], counts(row)) == ("failed", "1 of 20 jobs lost", (1, 0, 0, 0))
    assert measured.ids("finished_ns") == set(range(JOBS)) - {LOST}
    assert len(jobs) == JOBS
    assert row["finish_p99_ms"] == float("inf")


def test_neither_a_duplicate_nor_a_stranger_hides_a_loss(make_plan: MakePlan) -> None:
    row, jobs, _ = measure(make_plan("eager"))
    assert (row["status"], counts(row)) == ("failed", (1, 1, 1, 0))
    assert row["reason"] == "1 of 20 jobs lost; 1 finished that nobody submitted"
    stranger, twice = (jobs[jobs["job"] == job].iloc[0] for job in (STRANGER, TWICE))
    assert twice["starts"] == 2
    assert pd.isna(stranger["sent_ns"])
    assert pd.isna(stranger["intended_ns"])


def test_jobs_that_are_not_accepted_fail_the_cell(make_plan: MakePlan) -> None:
    row, *_ = measured = measure(make_plan("refusing"))
    assert (row["status"], counts(row)) == ("failed", (0, 0, 0, 0))
    assert row["reason"] == "1 of 20 jobs rejected; 1 of 20 jobs without a word"
    assert measured.ids("accepted_ns") == set(range(JOBS)) - {LOST, TWICE}


def test_wrong_results_fail_the_cell(make_plan: MakePlan) -> None:
    row, *_ = measure(make_plan("wrong"))
    assert row["status"] == "failed"
    assert row["reason"] == ("20 of 20 results read back are missing or wrong: job 0 has 101, not 100")


@pytest.mark.parametrize("scenario", ["burst", "backlog"])
def test_an_enqueue_that_hangs_ends_at_the_deadline(scenario: str, make_plan: MakePlan) -> None:
    began = time.monotonic()
    measured = measure(make_plan("hanging", shape=scenario, deadline_s=0.5))
    assert time.monotonic() - began < 10
    row = measured.row
    assert (row["status"], counts(row)) == ("timeout", (0, 0, 0, JOBS - LOST))
    assert row["reason"] == f"deadline of 0.5 s: {JOBS - LOST} of {JOBS} jobs unfinished"
    assert measured.ids("sent_ns") == set(range(LOST + 1))
    assert measured.ids("finished_ns") == measured.ids("accepted_ns") == set(range(LOST))
    assert measured.ids("intended_ns") == set(range(JOBS))
    assert row["jobs_per_s"] == pytest.approx(LOST / row["measured_s"])


def test_a_slow_contender_gets_no_job_after_the_deadline(make_plan: MakePlan) -> None:
    measured = measure(make_plan("slow", jobs=1000, deadline_s=0.4))
    assert measured.row["status"] == "timeout"
    sent = measured.ids("sent_ns")
    assert 2 <= len(sent) <= 20
    deadline_ns = measured.jobs["intended_ns"].min() + 0.4e9
    assert (measured.jobs["sent_ns"].dropna() <= deadline_ns + 50e6).all()
    assert measured.row["censored"] == 1000 - len(measured.ids("finished_ns"))


def test_a_server_that_does_not_answer_is_not_asked_for_ever(make_plan: MakePlan) -> None:
    row, *_ = measure(make_plan("mute", deadline_s=1.0))
    assert (row["status"], counts(row)) == ("timeout", (0, 0, 0, 1))


def test_jobs_that_run_past_the_deadline_are_censored(make_plan: MakePlan) -> None:
    measured = measure(make_plan("null", jobs=8, work="sleep:400", deadline_s=1.0))
    row, jobs, _ = measured
    assert row["status"] == "timeout"
    assert row["censored"] == 8 - len(measured.ids("finished_ns"))
    assert 2 <= len(measured.ids("finished_ns")) <= 4
    assert (jobs["finished_ns"].dropna() <= jobs["intended_ns"].min() + 1e9).all()


@pytest.mark.parametrize("scenario", ["burst", "backlog"])
def test_a_pool_that_dies_fails_the_cell_with_its_last_words(scenario: str, make_plan: MakePlan) -> None:
    with pytest.raises(Failed, match="the pool ended with status 3: RuntimeError: no licence"):
        measure(make_plan("dying", shape=scenario))


@pytest.mark.parametrize("scenario", ["burst", "backlog"])
def test_a_pool_that_does_not_come_up_fails_the_cell(
    scenario: str, make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "READY_S", 0.5)
    with pytest.raises(Failed, match=r"only 0 of 2 worker processes came up within 0\.5 s"):
        measure(make_plan("idle", shape=scenario))


def test_a_server_that_cannot_be_used_is_told_as_it_is(make_plan: MakePlan) -> None:
    with pytest.raises(AdapterError, match="Server at nowhere:1 cannot be used"):
        measure(make_plan("unreachable"))


def write(plan: Plan) -> Layout:
    """The cell's directory, with the plan in it."""
    layout = Layout(plan.cell.directory)
    layout.create()
    layout.plan.write_text(plan.model_dump_json())
    return layout


@pytest.fixture
def keep_sigterm() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("keep_sigterm")
@pytest.mark.parametrize(
    ("adapter", "reason"),
    [
        ("unreachable", "Server at nowhere:1 cannot be used: start it"),
        ("unremovable", "Server at nowhere:1 refuses to forget"),
        ("broken", "ZeroDivisionError: no reason"),
    ],
)
def test_whatever_is_raised_is_a_reason_in_one_line(adapter: str, reason: str, make_plan: MakePlan) -> None:
    plan = make_plan(adapter)
    layout = write(plan)
    harness.main(str(layout.plan))
    result = Result.model_validate_json(layout.result.read_bytes())
    row, jobs = account(plan, result)
    assert (row["status"], row["reason"], jobs) == ("failed", reason, None)


class Cells:
    """Runs cells in a harness process each, as the runner does."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.seen: list[int] = []

    def run(self, plan: Plan, watch: Callable[[int], object] = bool) -> Result:
        def look(finished: int) -> None:
            self.seen.append(finished)
            watch(finished)

        return Measurement(self.guard, plan).run(look)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cells]:
    monkeypatch.setattr(measurement, "HARNESS", contenders.command("scenarios.harness"))
    monkeypatch.setattr(measurement, "STAND_IN", contenders.command("scenarios.teardown"))
    guard = Guard(find_disk())
    yield Cells(guard)
    guard.close()


def left(plan: Plan) -> list[Path]:
    """What a `Crashing` contender has elsewhere."""
    return list(plan.cell.directory.parent.glob(plan.cell.namespace))


def test_the_display_sees_measured_jobs_only(make_plan: MakePlan, cells: Cells) -> None:
    plan = make_plan("null", jobs=40, work="sleep:50")
    assert cells.run(plan).failures == []
    assert cells.seen == sorted(cells.seen)
    assert cells.seen[0] == 0
    assert 0 < cells.seen[-1] <= 40


def test_a_harness_that_dies_is_cleared_up_after(make_plan: MakePlan, cells: Cells) -> None:
    plan = make_plan("crashing")
    result = cells.run(plan)
    assert result == Result(failures=["the harness was ended by SIGKILL: FATAL: out of luck"])
    assert left(plan) == []
    assert not any(carries(process, plan) for process in psutil.process_iter())


def test_a_harness_that_takes_too_long_is_ended(
    make_plan: MakePlan, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "SPARE_S", 1.0)
    monkeypatch.setattr(measurement, "FAREWELL_S", 0.5)
    plan = make_plan("endless", deadline_s=0.1)
    (failure,) = cells.run(plan).failures
    assert failure.startswith("the harness did not end within 1.2 s")
    assert left(plan) == []


def test_what_may_be_left_is_told(make_plan: MakePlan, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "STAND_IN", ["sh", "-c", "echo it is locked; exit 1"])
    died, left_over = cells.run(make_plan("crashing")).failures
    assert "SIGKILL" in died
    assert left_over == "distq_test_harness may be left on its servers: it is locked"


def test_an_interrupted_cell_is_torn_down(make_plan: MakePlan, cells: Cells) -> None:
    def interrupt(finished: int) -> None:
        if finished:
            assert left(plan)
            assert any(carries(process, plan) for process in psutil.process_iter())
            raise KeyboardInterrupt

    plan = make_plan("homely", jobs=1000, work="sleep:50")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cells.run(plan, interrupt)
    assert time.monotonic() - began < 10
    assert left(plan) == []
    assert not any(carries(process, plan) for process in psutil.process_iter())


def test_a_harness_that_loses_its_runner_tears_down(make_plan: MakePlan, cells: Cells) -> None:
    """It gets SIGTERM from the guard, which has seen the runner go."""
    plan = make_plan("homely", jobs=1000, work="sleep:50")
    layout = write(plan)
    harness = cells.guard.start([*measurement.HARNESS, layout.plan])
    eventually(lambda: records.jobs(layout.ledger, Moment.FINISHED))
    assert left(plan)
    cells.guard.close()
    assert harness.returncode == TORN_DOWN
    assert left(plan) == []


def test_an_alarm_rings_wherever_the_program_waits() -> None:
    began = time.monotonic()
    with pytest.raises(Overdue), alarm(0.05):
        threading.Event().wait(60)
    with pytest.raises(Failed, match=r"the nap did not end within 0\.05 s"), limit("the nap", 0.05):
        time.sleep(60)
    assert time.monotonic() - began < 10


def test_an_alarm_leaves_an_earlier_one_alone() -> None:
    def sleep_twice() -> None:
        with alarm(60):
            time.sleep(0.01)
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(Overdue), alarm(0.1):
        sleep_twice()
    assert time.monotonic() - began < 10
