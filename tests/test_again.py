"""A run that can be taken up again, and computed again: `--resume` and `scenarios.verify`."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from scenarios import page, report, verify
from scenarios.output import Output, OutputError
from tests import synthetic
from tests.conftest import RunScenario


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_run(tmp_path_factory.mktemp("results") / synthetic.RUN_ID, jobs=(100,))


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / synthetic.RUN_ID))


def test_a_run_gives_the_same_numbers_again(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(copy)]) == 0
    said = capsys.readouterr().out
    assert f"{copy}: 30 cells and " in said
    assert report.load(copy).seal in said


def change_digit(text: str, column: int) -> str:
    """One digit of one job's row is another one."""
    head, *rows = text.splitlines(keepends=True)
    number = next(at for at, row in enumerate(rows) if row.split(",")[column])
    fields = rows[number].split(",")
    fields[column] = fields[column][:-1] + str((int(fields[column][-1]) + 1) % 10)
    rows[number] = ",".join(fields)
    return "".join([head, *rows])


@pytest.mark.parametrize("column", [2, 3, 4, 5, 6, 8])
def test_one_digit_of_a_raw_row_is_seen(copy: Path, column: int, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "jobs.csv.gz"
    path.write_bytes(
        gzip.compress(change_digit(gzip.decompress(path.read_bytes()).decode(), column).encode())
    )
    assert verify.main([str(copy)]) == 1
    assert "jobs.csv.gz: not the file whose hash is in manifest.json" in capsys.readouterr().out


def test_a_row_that_was_made_better_is_seen_though_its_hash_was_too(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "summary.csv"
    text = path.read_text()
    rate = re.search(r"b1-distq-redis-100,.*?,ok,,[^,]*,[^,]*,[^,]*,([^,]+),", text)
    assert rate
    path.write_text(text.replace(rate[1], f"9{rate[1]}"))
    assert verify.main([str(copy)]) == 1
    assert (
        f"b1-distq-redis-100: jobs_per_s is 9{rate[1]}, by the raw rows {rate[1]}" in capsys.readouterr().out
    )


def test_a_cell_too_few_or_too_many_is_seen(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "summary.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert verify.main([str(copy)]) == 1
    assert "in only one of cells.jsonl and summary.csv" in capsys.readouterr().out


def test_jobs_of_a_cell_that_never_ran_are_seen(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = copy / "cells.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= {"result": None, "unavailable": "no licence"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert verify.main([str(copy)]) == 1
    assert (
        f"{lines[0]['cell']}: has jobs, though by cells.jsonl it was never measured"
        in capsys.readouterr().out
    )


def test_a_page_that_says_something_else_is_seen(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = page.write(report.load(copy))
    assert verify.main([str(copy)]) == 0
    path.write_text(path.read_text().replace("celery", "Celery", 1))
    assert verify.main([str(copy)]) == 1
    assert "report.html: the raw rows give another page" in capsys.readouterr().out


def test_what_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupted_run_goes_on_with_the_cells_that_are_missing(tmp_path: Path, run: RunScenario) -> None:
    out = tmp_path / "run"
    words = ["--jobs", "50", "--adapters", "null", "--repeats", "3", "--out", str(out)]
    assert run(*words)[0] == 0
    whole = [line.split(",")[1] for line in (out / "summary.csv").read_text().splitlines()[1:]]
    first = (out / "cells.jsonl").read_text().splitlines(keepends=True)
    # As after a kill: one cell is whole, one cut short in the middle of its line, the jobs of the last too.
    (out / "cells.jsonl").write_text(first[0] + first[1][:50])
    (out / "jobs.csv.gz").write_bytes((out / "jobs.csv.gz").read_bytes()[:-40])
    status, said = run("--resume", str(out))
    assert status == 0, said
    assert "b1-null-50" not in said.split("contender")[0]
    assert [line.split(",")[1] for line in (out / "summary.csv").read_text().splitlines()[1:]] == whole
    assert (out / "cells.jsonl").read_text().splitlines(keepends=True)[0] == first[0]
    assert len(json.loads((out / "manifest.json").read_bytes())["resumed"]) == 1
    assert verify.main([str(out)]) == 0


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (None, "no run that began lies there"),
        ("{}", "no run that began lies there"),
        (
            '{"command": ["python", "-m", "scenarios.run"], "seed": 1, "commit": "0123", "dirty": false}',
            "commit 0123 began it",
        ),
    ],
)
def test_what_cannot_be_resumed_is_one_line(
    manifest: str | None, said: str, tmp_path: Path, run: RunScenario
) -> None:
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest)
    status, told = run("--resume", str(tmp_path))
    assert (status, told.count("\n")) == (2, 1)
    assert said in told


def test_a_resumed_run_has_what_it_began_with(tmp_path: Path, run: RunScenario) -> None:
    status, told = run("--resume", str(tmp_path), "--jobs", "7")
    assert (status, told.count("\n")) == (2, 1)
    assert "--jobs: a run that is resumed has what it began with" in told


def test_a_folder_has_one_run_at_a_time(tmp_path: Path) -> None:
    first = Output(tmp_path / "run")
    first.create()
    with pytest.raises(OutputError, match="a run that is still under way writes there"):
        Output(tmp_path / "run").resume()


def test_raw_files_that_are_damaged_are_one_line(copy: Path) -> None:
    (copy / "cells.jsonl").write_bytes(b"\xff\n")
    before = (copy / "jobs.csv.gz").read_bytes()
    with pytest.raises(OutputError, match=synthetic.RUN_ID):
        Output(copy).resume()
    assert (copy / "jobs.csv.gz").read_bytes() == before


def test_more_than_one_process_may_send(tmp_path: Path, run: RunScenario) -> None:
    out = tmp_path / "run"
    words = (
        "--scenario",
        "steady",
        "--rate",
        "600",
        "--for",
        "1",
        "--producers",
        "3",
        "--schedule",
        "uniform",
    )
    status, said = run(*words, "--adapters", "null", "--repeats", "1", "--out", str(out))
    assert status == 0, said
    shown = report.load(out)
    jobs = shown.jobs
    assert sorted(jobs["job"]) == list(range(600))
    gaps = jobs.sort_values("job")["intended_ns"].diff().dropna()
    assert gaps.between(1_666_666, 1_666_668).all()
    assert verify.main([str(out)]) == 0
