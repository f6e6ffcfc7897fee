"""`distq migrate`, and what commands say of a version that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from tests.command_line import environment as environment
from tests.command_line import module as module
from tests.command_line import schema_url as schema_url
from tests.commands import apart, distq
from tests.world import url_of


@pytest.fixture
def prefix_url(request: pytest.FixtureRequest) -> str:
    """The same of Redis."""
    return url_of(request, "redis")


def test_migrate_says_what_it_did_and_is_safe_to_repeat(
    schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = distq("migrate", "--url", schema_url)
    monkeypatch.setenv("DISTQ_URL", schema_url)
    second = distq("migrate", "--json")
    names = ["0001_jobs", "0002_everyday", "0003_positions", "0004_vacuum", "0005_vitals"]
    assert [line.split()[-1] for line in first.out.splitlines()] == names
    assert "nothing to do, it is at version 5" in second.value[0]


def test_migrate_checks_redis(prefix_url: str) -> None:
    assert "set version 2" in distq("migrate", "--url", prefix_url).out
    assert "nothing to do" in distq("migrate", "--url", prefix_url).out


def test_a_schema_that_is_missing_says_what_to_run(schema_url: str, module: Callable[[str], str]) -> None:
    name = module(schema_url)
    done = apart("worker", f"{name}:app", cwd=Path.cwd())
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "does not exist" in done.err.splitlines()[-1]
    assert "distq migrate" in done.err.splitlines()[-1]
    distq("counts", "--url", schema_url).refused(1, "does not exist", "distq migrate")


def test_code_too_old_for_the_schema_is_refused(schema_url: str) -> None:
    distq("migrate", "--url", schema_url)
    url, _, schema = schema_url.partition("?schema=")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE {schema}.schema_version SET version = 9, oldest_code = 9".encode())
    for command in ("counts", "migrate"):
        distq(command, "--url", schema_url).refused(1, "version 9", "upgrade distq")


def test_a_newer_schema_that_still_serves_this_code_is_used(schema_url: str) -> None:
    distq("migrate", "--url", schema_url)
    url, _, schema = schema_url.partition("?schema=")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"UPDATE {schema}.schema_version SET version = 9, oldest_code = 1".encode())
    assert "nothing to do, it is at version 9" in distq("migrate", "--url", schema_url).out


def test_code_too_old_for_the_keys_is_refused(prefix_url: str) -> None:
    url, _, prefix = prefix_url.partition("?prefix=")
    with redis.Redis.from_url(url) as client:
        client.hset(f"{prefix}:meta", mapping={"version": 9, "oldest_code": 9})
    distq("migrate", "--url", prefix_url).refused(1, "version 9", "upgrade distq")
