"""Nothing is left of a run, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from adapters.base import Service
from distq import DistQ
from scenarios.guard import Guard
from scenarios.servers import Servers
from scenarios.servers.disk import find_disk
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


FORKER = """
import os, signal, sys
from pathlib import Path
from scenarios.guard import Guard

guard = Guard(Path(sys.argv[1]))
guard.start(["sleep", "60"])
if child := os.fork():
    print(guard.directory, child, sep="\\n", flush=True)
signal.pause()
"""


@contextmanager
def script(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the code, until it is ended."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def first_line(process: subprocess.Popen[str]) -> Path:
    """The directory that a script prints when all is up."""
    assert process.stdout
    return Path(process.stdout.readline().strip())


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
def test_nothing_is_left_when_the_runner_is_ended(number: signal.Signals, services: set[Service]) -> None:
    with script(HOLDER, *services) as runner:
        directory = first_line(runner)
        assert directory.is_dir()
        processes = family(runner.pid)
        assert len(processes) > len(services)
        runner.send_signal(number)
        eventually(lambda: gone(processes, directory))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_runner_is_ended_while_servers_start(number: signal.Signals) -> None:
    with script(HOLDER, *Service) as runner:
        directory = eventually(lambda: directory_of_initdb(runner.pid))
        assert directory
        processes = family(runner.pid)
        runner.send_signal(number)
        eventually(lambda: gone(processes, directory))


def test_servers_to_try_with_run_until_they_are_interrupted() -> None:
    argv = [sys.executable, "-m", "scenarios.servers"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout
        urls = [runner.stdout.readline().strip().removeprefix("export DISTQ_URL=") for _ in range(2)]
        for url in urls:
            DistQ(url).storage.migrate()
        processes = family(runner.pid)
        runner.send_signal(signal.SIGINT)
        assert runner.wait(20) == 0
        assert not any(map(runs, processes))


def test_a_forked_child_that_lives_on_does_not_keep_the_guard() -> None:
    with script(FORKER, str(find_disk())) as runner:
        directory = first_line(runner)
        assert runner.stdout
        child = psutil.Process(int(runner.stdout.readline()))
        others = [process for process in family(runner.pid) if process != child]
        runner.kill()
        eventually(lambda: gone(others, directory))
        assert runs(child)
        child.kill()


def test_the_guard_ends_the_groups_it_was_told_of() -> None:
    guard = Guard(find_disk())
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
