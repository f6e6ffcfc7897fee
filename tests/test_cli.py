"""The command line as a user meets it: every mistake is one line."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
import redis

APP = """
from distq import DistQ
app = DistQ({url!r})
number = 5

@app.task
def add(a: int, b: int) -> int:
    return a + b
"""


def distq(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "distq", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert done.returncode == status
    line = done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in line


@pytest.fixture
def schema_url(postgres_url: str) -> str:
    return f"{postgres_url}?schema=c{uuid.uuid4().hex[:12]}"


@pytest.fixture
def prefix_url(redis_url: str) -> str:
    return f"{redis_url}?prefix=c{uuid.uuid4().hex[:12]}"


def test_migrate_says_what_it_did_and_is_safe_to_repeat(schema_url: str) -> None:
    first, second = distq("migrate", "--url", schema_url), distq("migrate", DISTQ_URL=schema_url)
    assert [line.split()[-1] for line in first.stdout.splitlines()] == ["0001_jobs", "0002_everyday"]
    assert "nothing to do, it is at version 2" in second.stdout
    assert (first.returncode, second.returncode) == (0, 0)


def test_migrate_checks_redis(prefix_url: str) -> None:
    assert "set version 2" in distq("migrate", "--url", prefix_url).stdout
    assert "nothing to do" in distq("migrate", "--url", prefix_url).stdout


def test_a_schema_that_is_missing_says_what_to_run(schema_url: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(APP.format(url=schema_url))
    assert_one_line(distq("worker", "jobs:app", cwd=tmp_path), 1, "does not exist", "distq migrate")


def test_code_too_old_for_the_schema_is_refused(schema_url: str, tmp_path: Path) -> None:
    distq("migrate", "--url", schema_url)
    url, _, schema = schema_url.partition("?schema=")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE {schema}.schema_version SET version = 9, oldest_code = 9".encode())
    (tmp_path / "jobs.py").write_text(APP.format(url=schema_url))
    for arguments in (("worker", "jobs:app"), ("migrate", "--url", schema_url)):
        assert_one_line(distq(*arguments, cwd=tmp_path), 1, "version 9", "upgrade distq")


def test_a_newer_schema_that_still_serves_this_code_is_used(schema_url: str) -> None:
    distq("migrate", "--url", schema_url)
    url, _, schema = schema_url.partition("?schema=")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE {schema}.schema_version SET version = 9, oldest_code = 1".encode())
    assert "nothing to do, it is at version 9" in distq("migrate", "--url", schema_url).stdout


def test_code_too_old_for_the_keys_is_refused(prefix_url: str) -> None:
    url, _, prefix = prefix_url.partition("?prefix=")
    with redis.Redis.from_url(url) as client:
        client.hset(f"{prefix}:meta", mapping={"version": 9, "oldest_code": 9})
    assert_one_line(distq("migrate", "--url", prefix_url), 1, "version 9", "upgrade distq")


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("postgresql://u:secret@127.0.0.1:1/db", 1, ("postgresql://127.0.0.1:1/db", "does not answer")),
        ("redis://:secret@127.0.0.1:1/0", 1, ("redis://127.0.0.1:1/0", "does not answer")),
        ("mysql://u:secret@127.0.0.1/db", 2, ("no storage takes",)),
        ("postgresql://h/db?schema=a;b", 2, ("cannot name a schema",)),
        ("postgresql://h/db?nonsense=1", 2, ("not a PostgreSQL URL", "nonsense")),
    ],
)
def test_a_url_that_cannot_serve_is_one_line_without_the_password(
    url: str, status: int, words: tuple[str, ...]
) -> None:
    done = distq("migrate", "--url", url)
    assert_one_line(done, status, *words)
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("jobs", ("module:attribute",)),
        ("nowhere:app", ("no module named 'nowhere'",)),
        ("jobs:nothing", ("no attribute 'nothing'",)),
        ("jobs:number", ("a int, not a DistQ",)),
    ],
)
def test_an_app_that_cannot_be_found_is_one_line(
    tmp_path: Path, reference: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "jobs.py").write_text(APP.format(url="memory://"))
    assert_one_line(distq("worker", reference, cwd=tmp_path), 2, *words)


def test_bad_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(APP.format(url="memory://"))
    for option in ("--processes=0", "--concurrency=0", "--ttl=0", "--grace=-1"):
        assert distq("worker", "jobs:app", option, cwd=tmp_path).returncode == 2
    assert_one_line(distq("worker", "jobs:app", "--queues", "a b", cwd=tmp_path), 2, "cannot name a queue")


def test_help_names_every_command() -> None:
    text = distq("--help").stdout
    assert "migrate" in text
    assert "worker" in text
