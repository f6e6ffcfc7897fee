from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from scenarios import report
from tests import synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> report.Run:
    return report.load(synthetic.write_run(tmp_path_factory.mktemp("run")))


def relabelled(run: report.Run, **columns: object) -> report.Run:
    return replace(run, summary=run.summary.assign(**columns))


def swept(run: report.Run, counts: tuple[int, ...]) -> report.Run:
    """The cells of distq-redis once for each number of workers, as a sweep whose rates follow a law."""
    cells = run.summary.query("adapter == 'distq-redis' and jobs == 100")
    law = {n: 1_000 * n / (1 + 0.1 * (n - 1) + 0.01 * n * (n - 1)) for n in counts}
    frames = [cells.assign(scenario="sweep-workers", workers=n, jobs_per_s=law[n]) for n in counts]
    return replace(run, summary=pd.concat(frames, ignore_index=True))


def test_a_run_is_cut_by_scenario(run: report.Run) -> None:
    halves = run.summary.assign(scenario=run.summary.loc[:, "jobs"].map({100: "steady", 1000: "burst"}))
    parts = report.scenarios(replace(run, summary=halves))
    assert {name: set(part.summary.loc[:, "jobs"]) for name, part in parts.items()} == {
        "steady": {100},
        "burst": {1000},
    }
    shown = report.plain(replace(run, summary=halves))
    assert shown is not None
    assert set(shown.summary.loc[:, "scenario"]) == {"burst"}


@pytest.mark.parametrize(
    ("scenario", "found"), [("idle", True), ("capacity", False), ("capacity-curve", False)]
)
def test_a_search_is_judged_by_no_throughput(run: report.Run, scenario: str, found: bool) -> None:
    assert (report.plain(relabelled(run, scenario=scenario)) is not None) == found


def test_neither_ceilings_nor_controls_are_queues(run: report.Run) -> None:
    table = report.table(
        relabelled(run, adapter=run.summary.loc[:, "adapter"].replace("celery-redis", "x~2"))
    )
    assert set(report.queues(table).loc[:, "contender"]) == {
        name for name in synthetic.ENQUEUE_AND_DRAIN if name not in ("null", "raw-postgres", "raw-redis")
    } - {"celery-redis"}


def test_a_readable_table_is_by_what_differs_and_has_intervals(run: report.Run) -> None:
    ranks = report.ranking(run)
    shown = report.readable(ranks, {"rank": "rank", "value": "jobs/s", "interval": "interval"})
    assert list(shown.index.names) == ["setting", "contender"]
    assert shown.loc[("1,000 jobs", "distq-redis"), "interval"] == "--"
    assert shown.loc[("1,000 jobs", "celery-redis"), "interval"].endswith("(75 %)")
    (own,) = ranks.loc[(ranks.loc[:, "jobs"] == 100) & (ranks.loc[:, "contender"] == "celery-redis"), "value"]
    assert shown.loc[("100 jobs", "celery-redis"), "jobs/s"] == report.number(own)
    alone = report.readable(ranks.loc[ranks.loc[:, "jobs"] == 100], {"rank": "rank"})
    assert list(alone.index.names) == ["contender"]


def test_a_median_ratio_has_an_interval_from_three_blocks_on(run: report.Run) -> None:
    assert report.median_ratio(run, [2.0, 2.0, 2.0]) == {"ratio": 2, "low": 2, "high": 2, "coverage": 0.75}
    few = report.median_ratio(run, [2.0, 4.0, math.nan])
    assert few["ratio"] == 3
    assert math.isnan(few["low"])


def test_signs_that_markdown_would_read_are_shown() -> None:
    shown = report.Prose("`a` at $1, b~2 at $2 and c~2: <b>")
    assert shown._repr_markdown_() == r"`a` at \$1, b\~2 at \$2 and c\~2: \<b>"


def test_answers_are_those_of_the_page(run: report.Run) -> None:
    (line,) = report.answers(run).splitlines()
    assert line.startswith("- **burst, 1,000 jobs**: distq-redis leads with ")
    assert report.noise(run) == ""


def test_a_law_is_drawn_where_it_holds(run: report.Run) -> None:
    holds, refused = (swept(run, counts) for counts in ((1, 2, 3, 4, 6, 8), (1, 2, 3)))
    assert all(isinstance(law, report.Fit) for law in report.scaling(holds).values())
    assert not any(isinstance(law, report.Fit) for law in report.scaling(refused).values())
    curves = [
        [len(line.get_xdata()) for line in report.laws(each).axes[0].lines] for each in (holds, refused)
    ]
    assert [max(points) > 100 for points in curves] == [True, False]
    assert report.laws(holds).png() == report.laws(holds).png()


@pytest.mark.parametrize("draw", [report.laws, report.knee, report.sensitivity, report.sweep])
def test_what_was_not_measured_is_said_in_a_line(run: report.Run, draw: object) -> None:
    assert callable(draw)
    with pytest.raises(report.ReportError, match=str(run.directory)):
        draw(run)
