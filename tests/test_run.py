"""The runner as its users meet it: a command, its folder, its exit status, and what is left after it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from rich.console import Console
from rich.text import Text

from adapters.registry import REGISTRY
from scenarios import contender, measurement, report, run, runner, tasks
from scenarios.columns import JOBS, SUMMARY
from scenarios.interrupts import SIGNALS, Interrupts
from scenarios.masking import mask, masked
from scenarios.options import parse
from scenarios.progress import Progress
from tests import contenders
from tests.helpers import eventually

RUN = [sys.executable, "-m", "scenarios.run", "--no-conform"]
ROOT = Path(__file__).parent.parent
NAMESPACE = "distq_bench_"
# Without logfire's plug-in a run starts a quarter of a second sooner.
ENVIRONMENT = os.environ | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}


def finish(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        [*RUN, *map(str, arguments)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A run that is under way, killed at the end if it still is."""
    with subprocess.Popen(
        [*RUN, *map(str, arguments)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def stop(process: subprocess.Popen[str], *signals: signal.Signals) -> str:
    """Send the signals one after the other, see the run end in 5 s with status 1. Returns its last words."""
    began = time.monotonic()
    for number in signals:
        process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert process.returncode == 1
    assert "Traceback" not in errors
    return errors.strip()


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def read_table(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(text.decode().splitlines()))


def read_manifest(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "manifest.json").read_text())


def keys(url: str) -> list[Any]:
    with redis.Redis.from_url(url) as client:
        return list(client.scan_iter(match=f"*{NAMESPACE}*"))


def schemas(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", (f"{NAMESPACE}%",)
        ).fetchall()


def test_a_run_leaves_a_complete_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--jobs", 20, "--adapters", "null,distq-redis", "--repeats", 2, "--seed", 5, "--out", out]
    done = finish(*arguments)
    assert (done.returncode, done.stderr) == (0, "")

    rows = read_table(out / "summary.csv")
    assert list(rows[0]) == list(SUMMARY)
    assert [row["cell"] for row in rows] == [
        task.key for task in tasks.tasks(parse([*map(str, arguments[:-1]), str(tmp_path / "same")]))
    ]
    assert {(row["status"], row["reason"], row["lost"], row["unexpected"]) for row in rows} == {
        ("ok", "", "0", "0")
    }
    assert {row["run_id"] for row in rows} == {"run"}
    assert all(float(row["jobs_per_s"]) > 0 for row in rows)
    assert {row["adapter"] for row in rows if row["broker_cpu_s"]} == {"distq-redis"}

    jobs = read_table(out / "jobs.csv.gz")
    assert list(jobs[0]) == list(JOBS)
    assert {(job["cell"], int(job["job"])) for job in jobs} == {
        (row["cell"], job) for row in rows for job in range(20)
    }
    assert all(job["finished_ns"].isdecimal() for job in jobs)

    assert {path.name for path in (out / "plots").iterdir()} >= {"throughput.png", "latency.png"}
    assert not (out / "logs").exists()
    assert len(report.load(out).jobs) == 80

    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["1/4", "2/4", "3/4", "4/4"]
    assert lines[3].split()[1:3] == ["0:00", "left"]
    assert str(out) in lines[-1]

    manifest = read_manifest(out)
    assert manifest["command"][2:] == ["scenarios.run", "--no-conform", *map(str, arguments)]
    assert (manifest["run_id"], manifest["scenario"], manifest["seed"]) == ("run", "burst", 5)
    assert manifest["machine"]["kernel"] == os.uname().release
    assert manifest["machine"].keys() >= {"cpu", "cores", "memory_mb", "python", "system"}
    assert manifest["packages"].keys() >= {"distq", "redis", "psycopg"}
    assert manifest["syncs_per_second"] > 0
    assert len(manifest["commit"]) == 40
    assert manifest["dirty"] in (True, False)
    assert manifest["servers"]["redis"]["appendonly"] == "yes"
    assert manifest["servers"]["redis"]["version"]
    for adapter in ("null", "distq-redis"):
        assert manifest["adapters"][adapter]["promises"]["delivery"]
        assert manifest["adapters"][adapter]["settings"]


def test_a_contender_is_looked_at_before_it_is_timed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "scenarios.run", "--jobs", "20", "--repeats", "2", "--adapters", "null"]
    done = subprocess.run(
        [*command, "--profile", "matched,default", "--out", str(out)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_manifest(out)["adapters"]
    assert set(found) == {"null", "null (default)"}
    for known in found.values():
        assert known["observed"]["problems"] == []
        assert known["observed"]["delivery"] == known["promises"]["delivery"] == "at most once"
        assert known["unequal"]


def test_given_servers_are_left_as_they_were(
    tmp_path: Path, postgres_url: str, redis_url: str, amqp_url: str
) -> None:
    out, names = tmp_path / "run", "distq-postgres,rabbitmq-redis"
    given = {
        "--postgres-url": postgres_url.replace("postgres@", "postgres:s3cret@", 1),
        "--redis-url": redis_url.replace("://", "://default:s3cret@", 1),
        "--amqp-url": amqp_url,
    }
    options = [word for option in given.items() for word in option]
    done = finish("--jobs", 20, "--adapters", names, "--repeats", 1, "--out", out, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert {row["broker_cpu_s"] for row in read_table(out / "summary.csv")} == {""}
    assert (keys(redis_url), schemas(postgres_url)) == ([], [])
    assert {server["server"] for server in read_manifest(out)["servers"].values()} == {"given"}
    text = (out / "manifest.json").read_text()
    assert "s3cret" not in text
    assert "guest:guest" not in text
    assert "default:***@127.0.0.1" in text


def test_ctrl_c_keeps_what_is_finished_and_leaves_nothing_else(tmp_path: Path, redis_url: str) -> None:
    out = tmp_path / "run"
    arguments = [
        "--jobs",
        "5,4000",
        "--adapters",
        "distq-redis",
        "--work",
        "sleep:20",
        "--redis-url",
        redis_url,
    ]
    with started(*arguments, "--out", out) as process:
        assert process.stdout
        assert "b1-distq-redis-5" in process.stdout.readline()
        eventually(lambda: keys(redis_url))
        others = family(process)
        said = stop(process, signal.SIGINT, signal.SIGINT)
    shows = f"python -m scenarios.report {out} shows them"
    goes_on = f"python -m scenarios.run --resume {out} goes on"
    assert said == f"stopped; the finished cells (1) are in {out}; {shows}, {goes_on}"
    (row,) = read_table(out / "summary.csv")
    assert row["status"] == "ok"
    assert {job["cell"] for job in read_table(out / "jobs.csv.gz")} == {row["cell"]}
    assert read_manifest(out)["adapters"]["distq-redis"]["settings"]
    assert keys(redis_url) == []
    assert not any(map(runs, others))


def test_sigterm_stops_a_run_with_servers_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--jobs", "5,4000", "--adapters", "raw-redis,null", "--work", "sleep:20", "--seed", "3"]
    with started(*arguments, "--out", out) as process:
        assert process.stdout
        process.stdout.readline()
        others = family(process)
        assert others
        assert "the finished cells (1) are in" in stop(process, signal.SIGTERM)
    assert read_table(out / "summary.csv")
    assert not any(map(runs, others))


def test_ctrl_c_before_the_first_cell_leaves_no_folder(tmp_path: Path) -> None:
    with started("--adapters", "raw-redis", "--out", tmp_path / "run") as process:
        eventually(lambda: any("server" in other.name() for other in family(process)))
        others = family(process)
        assert stop(process, signal.SIGINT) == "stopped; no cell had ended"
    assert not (tmp_path / "run").exists()
    assert not any(map(runs, others))


def test_a_killed_runner_leaves_nothing(tmp_path: Path, redis_url: str) -> None:
    arguments = [
        "--jobs",
        "4000",
        "--adapters",
        "distq-redis",
        "--work",
        "sleep:20",
        "--redis-url",
        redis_url,
    ]
    with started(*arguments, "--out", tmp_path / "run") as process:
        eventually(lambda: keys(redis_url), timeout=20)
        others = family(process)
        process.kill()
        eventually(lambda: not any(map(runs, others)))
    assert keys(redis_url) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--jobs", "0"], "argument --jobs: '0' is not a whole number from 1"),
        (["--redis-url", "redis://:s3cret@127.0.0.1:1/0"], "Redis at 127.0.0.1:1 does not answer"),
        (["--redis-url", "s3cret"], "--redis-url (or DISTQ_REDIS_URL) is not a URL like redis://"),
    ],
)
def test_bad_usage_is_one_line_and_no_folder(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = finish("--adapters", "raw-redis", "--out", tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"python -m scenarios.run: {said}")
    assert len(done.stderr.splitlines()) == 1
    assert "s3cret" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contenders with faults, and one whose library is missing, beside `null`."""
    for name in {*REGISTRY} - {"null"}:
        monkeypatch.delitem(REGISTRY, name)
    for name in ("lossy", "crashing"):
        monkeypatch.setitem(REGISTRY, name, contenders.FAKES[name])
    monkeypatch.setitem(REGISTRY, "absent", "absent.module:Absent")
    monkeypatch.setattr(contender, "COMMAND", contenders.command("scenarios.pool"))
    monkeypatch.setattr(measurement, "HARNESS", contenders.command("scenarios.harness"))
    monkeypatch.setattr(measurement, "STAND_IN", contenders.command("scenarios.teardown"))
    monkeypatch.setattr(report, "write_plots", lambda _: [])
    monkeypatch.chdir(ROOT)


def run_here(out: Path, adapters: str, *options: str) -> int:
    words = ["--jobs", "10", "--repeats", "1", "--adapters", adapters, "--out", str(out), "--no-conform"]
    return run.main([*words, *options])


@pytest.mark.usefixtures("fakes")
def test_what_is_unavailable_fails_the_run_only_if_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(tmp_path / "named", "null,absent") == 1
    (row,) = (row for row in read_table(tmp_path / "named" / "summary.csv") if row["adapter"] == "absent")
    assert row["status"] == "unavailable"
    assert row["reason"] == "absent needs the library 'absent': pip install absent"
    assert row["jobs_per_s"] == row["lost"] == ""
    monkeypatch.delitem(REGISTRY, "lossy")
    monkeypatch.delitem(REGISTRY, "crashing")
    assert run_here(tmp_path / "all", "all", "--scenario", "backlog") == 0
    assert "unavailable" in capsys.readouterr().out


@pytest.mark.usefixtures("fakes")
def test_a_cell_that_failed_fails_the_run_and_the_others_run(tmp_path: Path) -> None:
    assert run_here(tmp_path / "run", "crashing,lossy,null") == 1
    rows = {row["adapter"]: row for row in read_table(tmp_path / "run" / "summary.csv")}
    told = {name: (row["status"], row["reason"]) for name, row in rows.items()}
    assert told == {
        "null": ("ok", ""),
        "lossy": ("failed", "1 of 10 jobs lost"),
        "crashing": ("failed", "the harness was ended by SIGKILL: FATAL: out of luck"),
    }
    assert rows["lossy"]["lost"] == "1"
    logs = {path.name: path.read_text() for path in (tmp_path / "run" / "logs").iterdir()}
    assert set(logs) == {"b1-lossy-10.log", "b1-crashing-10.log"}
    assert "FATAL: out of luck" in logs["b1-crashing-10.log"]


def test_a_folder_is_named_by_the_time_unless_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = parse(["--scenario", "backlog"])
    assert given.out.parent == Path("results")
    assert given.out.name.endswith("Z-backlog")
    assert given.out.is_dir()
    assert parse(["--scenario", "backlog"]).out != given.out


def test_each_block_runs_every_contender_in_an_order_of_its_own(tmp_path: Path) -> None:
    def order(seed: int) -> list[tasks.Task]:
        words = f"--jobs 10,20 --repeats 4 --seed {seed} --out {tmp_path / 'run'}".split()
        return list(tasks.tasks(parse(words)))

    assert order(1) == order(1) != order(2)
    blocks = [
        [task.adapter for task in order(1) if (task.block, task.setting.jobs) == (block, jobs)]
        for block in range(1, 5)
        for jobs in (10, 20)
    ]
    assert all(sorted(block) == sorted(REGISTRY) for block in blocks)
    assert len({tuple(block) for block in blocks}) > 1


def test_only_who_would_notice_is_disturbed(tmp_path: Path) -> None:
    words = f"--scenario held-snapshot --jobs 10 --repeats 1 --out {tmp_path / 'run'}".split()
    keys = {task.key for task in tasks.tasks(parse([*words, "--adapters", "distq-postgres,distq-redis"]))}
    assert keys == {"b1-distq-postgres-10-none", "b1-distq-postgres-10-snapshot", "b1-distq-redis-10-none"}


@pytest.mark.parametrize(
    ("row", "named", "failure"),
    [
        ({"status": "ok", "lost": 0, "unexpected": 0}, True, False),
        ({"status": "ok", "lost": 1, "unexpected": 0}, True, True),
        ({"status": "ok", "lost": 0, "unexpected": 1}, True, True),
        ({"status": "timeout"}, False, True),
        ({"status": "failed"}, False, True),
        ({"status": "unavailable"}, False, False),
        ({"status": "unavailable"}, True, True),
    ],
)
def test_what_fails_a_run(row: dict[str, Any], named: bool, failure: bool) -> None:
    assert runner.is_failure({"slo": "", **row}, named=named) is failure


def show_two_cells(console: Console) -> str:
    """What the display shows of two cells, the second one unavailable."""
    with Progress(console, cells=2) as progress:
        progress.begin("b1-null-100", 100)
        for finished in (0, 40, 100):
            progress.update(finished)
        progress.end({"cell": "b1-null-100", "status": "ok", "reason": "", "jobs_per_s": 12345.6})
        progress.begin("b1-absent-100", 100)
        progress.end({"cell": "b1-absent-100", "status": "unavailable", "reason": f"[{'why ' * 40}]"})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_display_is_plain_lines_where_there_is_no_terminal() -> None:
    first, second = show_two_cells(Console(file=io.StringIO(), width=60)).splitlines()
    assert first == "  1/2   0:00 left b1-null-100                     12,346 jobs/s ok"
    assert second.startswith("  2/2   0:00 left b1-absent-100")
    assert second.endswith("unavailable [" + ("why " * 40) + "]")


def test_the_display_is_live_on_a_terminal() -> None:
    shown = show_two_cells(Console(file=io.StringIO(), width=120, force_terminal=True))
    *above, cells, cell = Text.from_ansi(shown).plain.split("\n")[:-1]
    assert any(line.startswith("  2/2   0:00 left b1-absent-100") for line in above)
    assert "2/2" in cells
    assert "0:00 left" in cells
    assert "0/100 starting" in cell


SECRETS = [
    ("postgresql://me:s3cret@db:5432/app", "postgresql://me:***@db:5432/app"),
    ("--redis-url=redis://:s3cret@host", "--redis-url=redis://:***@host"),
    ("amqp://me:s3/cr:e@t@host/%2F refused", "amqp://me:***@host/%2F refused"),
    ("postgresql://db/app?user=me&password=s3cret&x=1", "postgresql://db/app?user=me&password=***&x=1"),
    ("redis://host:6379/0 of me@example", "redis://host:6379/0 of me@example"),
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_a_password_in_a_url_is_not_shown(text: str, shown: str) -> None:
    assert mask(text) == shown
    assert masked({"list": [text, 1], "none": None}) == {"list": [shown, 1], "none": None}


@pytest.fixture
def handlers() -> Iterator[list[Any]]:
    """Those of the signals before the test; they are put back after it."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield list(before.values())
    for number, handler in before.items():
        signal.signal(number, handler)


def raise_signals(*numbers: signal.Signals) -> None:
    for number in numbers:
        signal.raise_signal(number)


@pytest.mark.usefixtures("handlers")
def test_only_the_first_interrupt_is_heard() -> None:
    with Interrupts():
        with pytest.raises(KeyboardInterrupt):
            raise_signals(signal.SIGTERM)
        raise_signals(signal.SIGINT, signal.SIGTERM)
    raise_signals(signal.SIGINT, signal.SIGTERM)


def test_who_heard_nothing_leaves_the_signals_as_they_were(handlers: list[Any]) -> None:
    with Interrupts() as interrupts, interrupts.shielded():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


@pytest.mark.usefixtures("handlers")
def test_what_is_shielded_comes_to_its_end() -> None:
    done: list[str] = []

    def work(interrupts: Interrupts) -> None:
        with interrupts.shielded():
            raise_signals(signal.SIGINT, signal.SIGINT)
            done.append("shielded")
        done.append("after it")

    with Interrupts() as interrupts, pytest.raises(KeyboardInterrupt):
        work(interrupts)
    assert done == ["shielded"]
