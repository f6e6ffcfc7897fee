"""Commands at a storage that is not there, does not answer or goes away, and users who go away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from distq import StorageUnavailable
from distq.cli import session as sessions
from distq.cli.session import Session
from distq.storage import Storage
from tests.command_line import environment as environment
from tests.command_line import storage as storage
from tests.command_line import url as url
from tests.commands import ARGV, apart, distq
from tests.contract.steps import add

SOME_ID = "mail:0198c0ffee0070008000000000000000"


# -- URLs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("postgresql://u:secret@127.0.0.1:1/db", 1, ("postgresql://127.0.0.1:1/db", "does not answer")),
        ("redis://:secret@127.0.0.1:1/0", 1, ("redis://127.0.0.1:1/0", "does not answer")),
        ("mysql://u:secret@127.0.0.1/db", 2, ("no storage takes", "mysql://")),
        ("u:secret@h/db", 2, ("no storage takes",)),
        ("postgresql://h/db?schema=a;b", 2, ("cannot name a schema",)),
        ("postgresql://h/db?nonsense=1", 2, ("not a PostgreSQL URL", "nonsense")),
        ("postgresql://u:secret@h/db?nonsense=1", 2, ("there is no option 'nonsense'",)),
        ("postgresql://h/db?password=x&secret=1", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://u:5?secret@h/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://u:p@secret@127.0.0.1:1/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("redis://u:p@secret@127.0.0.1:1/0", 2, ("not a Redis URL", "percent-encoded")),
        ("postgresql://u:s/secret@h/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://u:5/secret@h/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://u:5#secret@h/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://u:[secret@h/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://u:se%cret@h/db", 2, ("not a PostgreSQL URL", "percent-encoded")),
        ("postgresql://h:secret/db", 2, ("not a PostgreSQL URL", "no port")),
        ("redis://u:s/secret@h/0", 2, ("not a Redis URL", "percent-encoded")),
        ("redis://u:5/secret@h/0", 2, ("not a Redis URL", "percent-encoded")),
        ("redis://u:[secret@h/0", 2, ("not a Redis URL", "percent-encoded")),
        ("memory://", 2, ("memory:// is in one process alone",)),
    ],
)
def test_a_url_that_cannot_serve_is_one_line_without_the_password(
    url: str, status: int, words: tuple[str, ...]
) -> None:
    done = distq("counts", "--url", url)
    done.refused(status, *words)
    if "@" in url or "password" in url:
        assert "secret" not in done.err


@pytest.mark.parametrize("place", ["postgresql://u:secret@127.0.0.1:1/db", "redis://u:secret@127.0.0.1:1/0"])
@pytest.mark.parametrize(
    "command",
    [
        ("migrate",),
        ("enqueue", "t"),
        ("show", SOME_ID),
        ("why", SOME_ID),
        ("list",),
        ("counts",),
        ("cancel", SOME_ID),
        ("cancel", "--queue", "q"),
        ("replay", SOME_ID),
        ("replay", "--queue", "q"),
        ("pause", "q"),
        ("resume", "q"),
        ("purge", "q"),
        ("prune", "--beyond", "0"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_every_command_says_that_the_storage_does_not_answer(place: str, command: tuple[str, ...]) -> None:
    done = distq(*command, "--url", place)
    done.refused(1, "127.0.0.1:1", "does not answer")
    assert "secret" not in done.err


# -- storages that are silent ----------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A place that takes connections and never answers, as a server that is frozen."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def places(listener: socket.socket) -> tuple[str, str]:
    port = listener.getsockname()[1]
    return f"postgresql://u:secret@127.0.0.1:{port}/db", f"redis://u:secret@127.0.0.1:{port}/0"


@pytest.mark.parametrize("store", [0, 1], ids=["postgres", "redis"])
def test_a_silent_storage_is_given_up_within_five_seconds(silent: socket.socket, store: int) -> None:
    start = time.monotonic()
    done = apart("counts", "--url", places(silent)[store])
    assert time.monotonic() - start < 5
    done.refused(1, "does not answer: no answer within 2.5 s")
    assert "secret" not in done.err


@pytest.mark.parametrize("command", ["migrate", "doctor", "pause q", "enqueue t"])
def test_commands_that_do_their_own_io_give_up_too(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(sessions, "PATIENCE", 0.05)
    for place in places(silent):
        distq(*command.split(), "--url", place).refused(1, "does not answer: no answer within 0.1 s")


def test_a_storage_that_is_slow_but_alive_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE", 0.5)
    signs = threading.Semaphore(0)
    look = Session._sign_of_life  # pyright: ignore[reportPrivateUsage]

    def sign(self: Session) -> None:
        look(self)
        signs.release()

    def slow() -> str:
        assert all(signs.acquire(timeout=10) for _ in range(3))
        return "at last"

    monkeypatch.setattr(Session, "_sign_of_life", sign)
    with Session.at(url) as session:
        assert session.call(slow) == "at last"


def test_a_storage_that_goes_away_meanwhile_is_given_up() -> None:
    over = threading.Event()
    with Session.at("redis://127.0.0.1:1/0") as session, pytest.raises(StorageUnavailable, match="refused"):
        session.call(lambda: over.wait(10))
    over.set()


def test_ctrl_c_ends_quietly(silent: socket.socket) -> None:
    process = subprocess.Popen([*ARGV, "list", "--url", places(silent)[1]], stderr=subprocess.PIPE)
    silent.settimeout(20)
    with silent.accept()[0]:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, b"")


def test_a_reader_that_goes_away_ends_it_quietly(url: str, storage: Storage) -> None:
    add(storage, 1000, payload=b'{}\n{"text":"%s"}' % (b"x" * 1000))
    argv = [*ARGV, "list", "--limit", "1000", "--json"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered)
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == b"[\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 1
