from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from scenarios import curves, look, output, printing, report, statistics
from tests import synthetic


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_run(tmp_path_factory.mktemp("results") / synthetic.RUN_ID)


@pytest.fixture
def run(directory: Path) -> report.Run:
    return report.load(directory)


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    """A run's folder that the test may break."""
    return Path(shutil.copytree(directory, tmp_path / "run", ignore=shutil.ignore_patterns("plots")))


def test_the_schema_names_every_column_that_a_run_writes(directory: Path) -> None:
    schema = (Path(__file__).resolve().parent.parent / "results" / "README.md").read_text()
    assert [name for name in (*output.SUMMARY, *output.JOBS) if f"`{name}`" not in schema] == []
    assert list(pd.read_csv(directory / "summary.csv", nrows=0)) == list(output.SUMMARY)
    assert list(pd.read_csv(directory / "jobs.csv.gz", nrows=0)) == list(output.JOBS)


def row(run: report.Run, contender: str, jobs: int) -> pd.Series:
    table = report.table(run)
    (only,) = (row for _, row in table.iterrows() if (row["contender"], row["jobs"]) == (contender, jobs))
    return only


def keep(directory: Path, *adapters: str) -> report.Run:
    """The run of `directory`, cut down to some adapters."""
    path = directory / "summary.csv"
    summary = pd.read_csv(path, dtype=str, keep_default_na=False)
    summary[summary["adapter"].isin(adapters)].to_csv(path, index=False)
    return report.load(directory)


def printed(run: report.Run, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    report.print_table(run, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_nobody_disappears_from_the_table(run: report.Run) -> None:
    table = report.table(run)
    for _, rows in table.groupby("jobs"):
        assert set(rows["contender"]) == set(synthetic.ENQUEUE_AND_DRAIN)
        assert rows["jobs_per_s"].dropna().is_monotonic_decreasing
    assert row(run, "rabbitmq-postgres", 100)["status"] == "unavailable"
    assert row(run, "rabbitmq-postgres", 100)["reason"] == synthetic.UNAVAILABLE[1]
    assert row(run, "rabbitmq-redis", 100)["status"] == "failed (1/3)"
    assert row(run, "celery-postgres", 1000)["status"] == "timeout"
    assert row(run, "null", 1000)["status"] == "ok"


def test_the_table_takes_medians_ranges_and_sums_over_blocks(run: report.Run) -> None:
    cells = run.summary.query("adapter == 'celery-redis' and jobs == 1000")
    shown = row(run, "celery-redis", 1000)
    rates = sorted(cells["jobs_per_s"])
    assert [shown["jobs_per_s_min"], shown["jobs_per_s"], shown["jobs_per_s_max"]] == rates
    assert shown["finish_p99_ms"] == sorted(cells["finish_p99_ms"])[1]
    assert shown["worker_cpu_s_per_1000"] == pytest.approx(sorted(cells["worker_cpu_s"])[1])
    assert shown["peak_rss_mb"] == max(cells["peak_rss_mb"])
    assert (shown["lost"], shown["duplicated"], shown["ratio"]) == (0, 1, 1)


def test_costs_are_per_finished_job(run: report.Run) -> None:
    cells = run.summary.query("adapter == 'celery-postgres' and jobs == 1000")
    costs = cells["worker_cpu_s"] / (1000 - cells["censored"]) * 1000
    assert row(run, "celery-postgres", 1000)["worker_cpu_s_per_1000"] == pytest.approx(costs.median())


def test_the_summary_can_be_computed_again_from_the_jobs(run: report.Run) -> None:
    for cell, jobs in run.jobs.groupby("cell"):
        (stored,) = run.summary[run.summary["cell"] == cell].to_dict("records")
        again = statistics.cell_latencies(jobs)
        assert {name: stored[name] for name in again} == pytest.approx(again, rel=1e-5)


def test_without_the_baseline_there_is_no_ratio(copy: Path) -> None:
    text = printed(keep(copy, "distq-redis", "celery-rabbitmq"), width=160)
    assert all(line.split()[3] == "--" for line in text.splitlines() if line.startswith(("distq", "celery")))


@pytest.mark.parametrize("width", [80, 120, 145, 146, 160])
def test_the_printed_table_is_whole_at_any_width(run: report.Run, width: int) -> None:
    lines = printed(run, width).splitlines()
    assert max(map(len, lines)) <= max(width, 120)
    assert not any("…" in line for line in lines)
    for contender in synthetic.ENQUEUE_AND_DRAIN:
        assert sum(line.startswith(f"{contender} ") for line in lines) == 2
    assert any("unavailable: no RabbitMQ server" in line for line in lines)
    assert any("∞" in line for line in lines)


def test_the_markdown_table_has_the_same_cells_in_every_row(run: report.Run) -> None:
    lines = [line for line in report.markdown_table(run).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 * (2 + len(synthetic.ENQUEUE_AND_DRAIN))


def test_plots_are_the_same_bytes_each_time(copy: Path) -> None:
    paths = report.write_plots(report.load(copy))
    first = [path.read_bytes() for path in paths]
    assert {path.name for path in paths} == {"throughput.png", "latency.png", "waits.png", "burst.png"}
    assert all(image.startswith(b"\x89PNG") for image in first)
    assert [path.read_bytes() for path in report.write_plots(report.load(copy))] == first


@pytest.mark.parametrize(
    "adapters", [("distq-redis",), ("rabbitmq-postgres",), ("null", "rabbitmq-postgres")]
)
def test_plots_can_be_made_of_very_little(copy: Path, adapters: tuple[str, ...]) -> None:
    assert all(path.stat().st_size for path in report.write_plots(keep(copy, *adapters)))


def test_a_reason_is_never_read_as_markup(copy: Path) -> None:
    path = copy / "summary.csv"
    path.write_text(path.read_text().replace("no RabbitMQ server", "[red]$DISTQ_AMQP_URL is ${unset"))
    run = report.load(copy)
    assert "[red]$DISTQ_AMQP_URL is ${unset" in printed(run, width=160)
    assert report.throughput(run).png()


def test_a_backlog_waits_in_the_queue_only(tmp_path: Path) -> None:
    run = report.load(synthetic.write_run(tmp_path, scenario="backlog", jobs=(100,)))
    assert "backlog.png" in {path.name for path in report.write_plots(run)}
    assert (report.parts(run)[["unsent", "sending"]] == 0).all(axis=None)
    assert run.summary["negative_latencies"].sum() == 0


def test_a_sweep_is_drawn_by_what_differs(copy: Path) -> None:
    path = copy / "summary.csv"
    summary = pd.read_csv(path, keep_default_na=False)
    summary["workers"] = summary["jobs"].map({100: 1, 1000: 64})
    summary.to_csv(path, index=False)
    run = report.load(copy)
    assert "sweep.png" in {path.name for path in report.write_plots(run)}
    assert report.sweep(run).png() == report.sweep(run).png()
    assert curves.swept(run.summary) == "workers"


def test_without_a_sweep_there_is_none_to_draw(run: report.Run) -> None:
    with pytest.raises(report.ReportError, match="nothing was swept"):
        report.sweep(run)


def test_a_churn_is_drawn_over_its_time(copy: Path) -> None:
    path = copy / "summary.csv"
    path.write_text(path.read_text().replace(",burst,burst,", ",churn,churn,"))  # scenario and shape
    run = report.load(copy)
    assert "churn.png" in {path.name for path in report.write_plots(run)}


def test_a_table_tells_what_the_scenario_is_about(run: report.Run) -> None:
    plain = report.markdown_table(run)
    assert not any(head in plain for head in ("of ideal", "slowest", "at risk", "MB/s", "asks/s"))
    table = report.table(run).assign(of_ideal=0.93, overhead_us=12.0, slowest_tenth=0.81, at_risk=400.0)
    special = printing.markdown_table(table)
    assert all(text in special for text in ("| 93 % |", "| 12.0 |", "| 81 % |", "| 400 |"))


def test_the_costs_are_those_of_a_million_jobs(run: report.Run) -> None:
    own = row(run, "distq-redis", 1000)
    (line,) = [
        line for line in report.costs(run).split("**")[-1].splitlines() if line.startswith("| distq-redis |")
    ]
    assert f" {report.number(1000 * own['worker_cpu_s_per_1000'])} |" in line
    assert "--" not in line  # the made-up run has no counters of servers, so no columns of theirs


def test_contenders_keep_a_colour_of_their_own() -> None:
    looks = {(look.colour(name), look.marker(name)) for name in synthetic.ENQUEUE_AND_DRAIN}
    assert len(looks) == len(synthetic.ENQUEUE_AND_DRAIN)
    assert look.colour("newcomer-redis") == look.colour("newcomer-redis")
    assert look.colour("newcomer-redis") not in {look.colour(name) for name in synthetic.ENQUEUE_AND_DRAIN}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def drop_column(path: Path, column: str) -> None:
    pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=column).to_csv(path, index=False)


def repeat_a_cell(path: Path) -> None:
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")


BREAKAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no summary": ("summary.csv", Path.unlink, "no summary.csv"),
    "no manifest": ("manifest.json", Path.unlink, "no manifest.json"),
    "no jobs": ("jobs.csv.gz", Path.unlink, "no jobs.csv.gz"),
    "empty summary": ("summary.csv", lambda path: path.write_text(""), "cannot be read"),
    "only a head": (
        "summary.csv",
        lambda path: path.write_text(path.read_text().split("\n")[0]),
        "holds no cell",
    ),
    "a word for a number": (
        "summary.csv",
        lambda path: path.write_text(path.read_text().replace(",1000,", ",many,")),
        "cannot be read",
    ),
    "a cell twice": ("summary.csv", repeat_a_cell, "is there 2 times"),
    "a column less": ("summary.csv", lambda path: drop_column(path, "censored"), "lacks censored"),
    "a moment less": ("jobs.csv.gz", lambda path: drop_column(path, "sent_ns"), "lacks sent_ns"),
    "jobs cut short": ("jobs.csv.gz", cut_short, "cannot be read"),
    "jobs not gzip": ("jobs.csv.gz", lambda path: path.write_text("cell,job"), "cannot be read"),
    "manifest cut short": ("manifest.json", cut_short, "cannot be read"),
    "manifest a list": ("manifest.json", lambda path: path.write_text("[]"), "not a JSON object"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_run_is_one_clear_line(
    copy: Path, capsys: pytest.CaptureFixture[str], breakage: str
) -> None:
    name, break_it, message = BREAKAGES[breakage]
    break_it(copy / name)
    assert report.main([str(copy)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert not (copy / "plots").exists()
    assert str(copy) in captured.err
    assert message in captured.err


def test_a_folder_that_is_not_there_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'nowhere'}: no such folder\n"


def test_plots_that_cannot_be_written_are_one_clear_line(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "plots").write_text("in the way")
    assert report.main([str(copy)]) == 2
    assert "plots: cannot be written to: File exists" in capsys.readouterr().err


def test_the_command_prints_the_table_and_makes_the_plots(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main([str(copy), "--markdown"]) == 0
    assert capsys.readouterr().out == report.markdown_table(report.load(copy))
    assert (copy / "plots" / "throughput.png").is_file()


def test_the_foot_says_where_the_figures_come_from(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text()) | {"dirty": True}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    foot = report.load(copy).foot
    for part in (
        synthetic.RUN_ID,
        "0123456789-dirty",
        "production tier",
        "matched profile",
        "workers 2",
        "3 blocks",
    ):
        assert part in foot


def test_run_chooses_the_run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN", str(directory))
    assert report.chosen().id == synthetic.RUN_ID
