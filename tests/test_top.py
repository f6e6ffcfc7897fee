"""`distq top` in a terminal: what it shows, how it is left, and what it does when the storage is away."""

from __future__ import annotations

import itertools
import os
import re
import select
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from rich.cells import cell_len

from distq.admin.crew import Activity, Vitals, WorkerView
from distq.admin.monitor import Monitor
from distq.admin.picture import Picture, QueueStatus, Rates, Trouble
from distq.admin.views import moment
from distq.cli.drawing import draw, lines
from distq.connect import connect
from distq.finding import Severity
from distq.job import JobState, OutcomeKind, Presence
from distq.memory.storage import MemoryStorage
from distq.steps import run
from distq.storage import Storage
from scenarios.guard import Guard
from scenarios.servers.disk import find_disk
from scenarios.servers.postgres import PostgresServer
from scenarios.servers.redis import RedisServer
from tests.commands import ARGV, apart, distq
from tests.contract.steps import QUEUE, add, make, settle, take
from tests.frozen import Freezer
from tests.helpers import eventually
from tests.terminal import Terminal, terminal
from tests.test_restart import Crashing
from tests.world import url_of

HOSTILE = "\x1b[2J\x1b[31m[red]<script>\n\x9b\x07\u202e名"

TOP = [*ARGV, "top", "--interval", "0.1", "--url"]


@contextmanager
def migrated(url: str) -> Iterator[Storage]:
    storage = connect(url)
    storage.migrate()
    try:
        yield storage
    finally:
        storage.close()


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return url_of(request, "redis")


@pytest.fixture
def storage(url: str) -> Iterator[Storage]:
    with migrated(url) as storage:
        yield storage


@pytest.fixture
def top(url: str, storage: Storage) -> Iterator[Terminal]:
    """The command at work."""
    with terminal(*TOP, url) as found:
        eventually(lambda: "distq top" in found.text)
        yield found


def shows(found: Terminal, pattern: str, timeout: float = 10) -> str:
    """Wait until a line is shown that matches."""

    def line() -> str:
        return next((line for line in found.picture if re.search(pattern, line)), "")

    return eventually(line, timeout)


# -- what it shows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_it_shows_what_goes_on_as_it_goes_on(request: pytest.FixtureRequest, store: str) -> None:
    url = url_of(request, store)
    with migrated(url) as storage, terminal(*TOP, url) as found:
        shows(found, "there are no queues yet")
        shows(found, "nothing is wrong")
        add(storage, 3)
        shows(found, rf"^{QUEUE} +3 +0 +0 +0 .* 0$")
        shows(found, f"^problem .*queue {QUEUE}: no live worker serves it, and 3 jobs could run")
        shows(found, f"^ +distq worker MODULE:APP --queues {QUEUE}$")
        running = (Activity(id=f"{QUEUE}:1", task="app.task", ran=75.0),)
        vitals = Vitals(memory=48 * 2**20, concurrency=2, held=1, renewed=3.0, running=running).encode()
        presence = Presence("web-1:4f1c", "web-1", 7, (QUEUE,), ("app.task",), vitals=vitals)
        storage.run(storage.announce(presence))
        shows(found, r"^web-1:4f1c +\d s  48 MiB +1 +\d s  app.task 1 min 1\d s$")
        shows(found, "nothing is wrong")
        settle(storage, take(storage), OutcomeKind.DEAD)
        shows(found, rf"^{QUEUE} +0 +0 +0 +3 +\S+ +[1-9]\S* .* 1$")
        storage.run(storage.pause(QUEUE, paused=True))
        shows(found, rf"^{QUEUE} \(paused\)")
        found.type("q")
        assert found.process.wait(10) == 0
        assert found.given_back()


@pytest.mark.parametrize(("columns", "height"), [(40, 10), (20, 5), (200, 60)])
def test_it_fits_the_terminal_when_that_is_resized(
    top: Terminal, storage: Storage, columns: int, height: int
) -> None:
    for number in range(20):
        storage.run(storage.enqueue(make(1, queue=f"queue-with-a-long-name-{number}")))
    shows(top, "and [0-9]+ lines more: distq counts")
    top.resize(columns, height)

    def fits() -> bool:
        picture = top.picture
        return len(picture) == height and "distq top" in picture[0] and max(map(len, picture)) <= columns

    eventually(fits)
    if columns == 200:
        shows(top, "queue-with-a-long-name-19 ")


def test_what_users_wrote_moves_no_cursor(top: Terminal, storage: Storage) -> None:
    vitals = Vitals(held=1, running=(Activity(id="x", task=HOSTILE, ran=1.0),)).encode()
    storage.run(storage.announce(Presence("w", HOSTILE, 1, (QUEUE,), (HOSTILE,), vitals=vitals)))
    top.resize(120, 24)
    line = shows(top, "^w .*名 ")
    assert r"\x1b[2J\x1b[31m[red]<script>\n\x9b\x07\u202e名" in line
    assert "\x1b[2J" not in top.raw
    assert "\x07" not in top.raw


def test_what_the_terminal_has_no_letters_for_is_as_wide_as_it_is_shown(url: str, storage: Storage) -> None:
    vitals = Vitals(held=1, running=(Activity(id="x", task="名" * 40, ran=1.0),)).encode()
    storage.run(storage.announce(Presence("w", "web", 1, (QUEUE,), (), vitals=vitals)))
    with terminal(*TOP, url, PYTHONIOENCODING="latin-1") as found:
        line = shows(found, r"^w .*\\u540d\\u540d")
        assert len(line) <= 80
        assert line.endswith("..")


def test_without_colour_there_is_none(url: str, storage: Storage) -> None:
    add(storage)
    with terminal(*TOP, url, NO_COLOR="1") as found:
        shows(found, "^problem")
        assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|4[0-9])m", found.raw)
    with terminal(*TOP, url) as found:
        shows(found, "^problem")
        assert re.search(r"\x1b\[1;31m", found.raw)


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_be_drawn_on_gets_one_picture(url: str, storage: Storage, kind: str) -> None:
    with terminal(*TOP, url, TERM=kind) as found:
        assert found.process.wait(20) == 0
        assert "there are no queues yet" in found.text
        assert "\x1b" not in found.raw


def test_without_a_terminal_it_prints_once(url: str, storage: Storage) -> None:
    add(storage, 2)
    status, out, err = apart("top", "--url", url, "--interval", "0.1")
    assert (status, err) == (0, "")
    assert re.search(rf"^{QUEUE} +2 +0 +0 +0 +0.0 +0.0 ", out, re.MULTILINE)
    assert "\x1b" not in out


def test_once_in_a_terminal_is_once(url: str, storage: Storage) -> None:
    with terminal(*TOP, url, "--once") as found:
        assert found.process.wait(20) == 0
        assert "there are no queues yet" in found.text
        assert found.settings() == found.before


def test_as_a_document(url: str, storage: Storage) -> None:
    add(storage, 2)
    picture = Picture.model_validate(distq("top", "--url", url, "--interval", "0.1", "--json").value)
    (queue,) = picture.queues
    assert (queue.name, queue.counts[JobState.READY], queue.rates is not None) == (QUEUE, 2, True)
    assert [trouble.kind for trouble in picture.troubles] == ["unserved"]


# -- how it is left --------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["q", "\x03", "\x04"])
def test_a_key_ends_it(top: Terminal, keys: str) -> None:
    assert top.settings() != top.before
    top.type(keys)
    assert top.process.wait(10) == 0
    assert top.given_back()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(top: Terminal, number: signal.Signals) -> None:
    top.process.send_signal(number)
    assert top.process.wait(10) == 0
    assert top.given_back()


def test_a_terminal_that_is_closed_ends_it(top: Terminal) -> None:
    top.close()
    assert top.process.wait(10) == 0


def test_other_keys_do_nothing(top: Terminal, storage: Storage) -> None:
    top.type("x\x1b[A \n")
    add(storage, 7)
    shows(top, rf"^{QUEUE} +7 ")
    assert top.process.poll() is None


def left(found: Terminal) -> bool:
    """Whether what is shown is not the command's any more."""
    _ = found.picture
    return found.raw.rfind("\x1b[?1049l") > found.raw.rfind("\x1b[?1049h")


def test_it_can_be_suspended(url: str, storage: Storage) -> None:
    with terminal("sh", "-i") as shell:
        shell.type(f"{shlex.join(TOP)} '{url}'\n")
        shows(shell, "^distq top ")
        (process,) = psutil.Process(shell.process.pid).children()
        shell.type("\x1a")
        eventually(lambda: process.status() == psutil.STATUS_STOPPED)
        assert left(shell)
        add(storage, 7)
        shell.type("fg\n")
        shows(shell, rf"^{QUEUE} +7 ")
        shell.type("q")
        eventually(lambda: left(shell))
        shell.type("exit\n")
        assert shell.process.wait(10) == 0


def test_where_nobody_could_let_it_go_on_it_is_not_suspended(top: Terminal, storage: Storage) -> None:
    """As by `ssh -t`: there is no shell that it belongs to."""
    top.type("\x1a")
    add(storage, 7)
    shows(top, rf"^{QUEUE} +7 ")
    top.type("q")
    assert top.process.wait(10) == 0
    assert top.given_back()


def test_a_terminal_that_takes_no_text_gets_its_line_back(top: Terminal) -> None:
    columns = itertools.cycle((200, 201))
    line = os.open(psutil.Process(top.process.pid).terminal() or "", os.O_WRONLY | os.O_NOCTTY)

    def full() -> bool:
        top.resize(next(columns), 60)
        return not select.select([], [line], [], 0)[1]

    eventually(full)
    os.close(line)
    top.process.send_signal(signal.SIGTERM)
    eventually(lambda: top.settings() == top.before)
    top.process.send_signal(signal.SIGTERM)
    assert top.process.wait(10) in (0, -signal.SIGTERM)
    assert top.settings() == top.before


# -- a storage that is away ------------------------------------------------------------------------------


def test_a_storage_that_is_away_at_the_start_is_one_line() -> None:
    apart("top", "--url", "redis://127.0.0.1:1").refused(1, "does not answer")


def test_a_storage_of_another_process_is_refused() -> None:
    distq("top", "--url", "memory://").refused(2, "memory://")


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "1e9"])
def test_an_interval_that_cannot_be_is_refused(interval: str, url: str) -> None:
    distq("top", "--url", url, "--interval", interval).refused(2, "interval")


@pytest.fixture(params=[PostgresServer, RedisServer])
def crashing(request: pytest.FixtureRequest) -> Iterator[Crashing]:
    guard = Guard(find_disk())
    yield Crashing(guard, request.param)
    guard.close()


def test_it_stays_while_the_storage_is_away(crashing: Crashing) -> None:
    url = crashing.server.url
    with migrated(url) as storage, terminal(*TOP, url, columns=150) as found:
        add(storage, 4)
        shows(found, rf"^{QUEUE} +4 ")
        crashing.kill()
        shows(found, r"^OLD, for [1-9]\d* s, since \d\d:\d\d:\d\d UTC: the storage does not answer; \w+")
        assert re.search(rf"(?m)^{QUEUE} +4 ", found.text)
        crashing.start()
        add(storage)
        shows(found, rf"^{QUEUE} +5 ")
        assert "OLD," not in found.text
        assert crashing.server.process
        freezer = Freezer(crashing.server.url, crashing.server.process.pid)
        freezer.freeze()
        try:
            shows(found, r"^OLD, for [3-9] s, since .* does not answer")
        finally:
            freezer.thaw()
        add(storage)
        shows(found, rf"^{QUEUE} +6 ")
        assert "OLD," not in found.text
        found.type("q")
        assert found.process.wait(10) == 0


def test_it_is_left_while_the_storage_is_silent(crashing: Crashing) -> None:
    url = crashing.server.url
    with migrated(url), terminal(*TOP, url, columns=150) as found:
        shows(found, "nothing is wrong")
        assert crashing.server.process
        freezer = Freezer(crashing.server.url, crashing.server.process.pid)
        freezer.freeze()
        try:
            shows(found, "^OLD")
            found.type("q")
            assert found.process.wait(5) == 0
        finally:
            freezer.thaw()
        assert found.given_back()


# -- the drawing -----------------------------------------------------------------------------------------


def full() -> Picture:
    """A picture with much of everything."""
    counts = dict.fromkeys(JobState, 10000000)
    rates = Rates(enqueued=12_345.6, done=99.94, dead=0.1, cancelled=0, failing=0.995)
    running = [Activity(id="x", task=HOSTILE * 5, ran=1e6) for _ in range(50)]
    vitals = Vitals(memory=2**40, concurrency=50, held=5000, renewed=1e5, running=tuple(running))
    queues = [
        QueueStatus(
            name="名" * 30 + str(n),
            paused=n % 2 == 0,
            counts=counts,
            workers=["w"] * n,
            oldest=1e7,
            rates=rates,
        )
        for n in range(70)
    ]
    worker = WorkerView(name=HOSTILE, host="h", pid=1, queues=[], tasks=[], seen=14.0, vitals=vitals)
    trouble = Trouble(
        severity=Severity.WARNING, kind="dead", queue=queues[5].name, what=HOSTILE * 9, why="", remedy=HOSTILE
    )
    return Picture(at=moment(0.0), queues=queues, workers=[worker] * 70, troubles=[trouble] * 70)


@pytest.mark.parametrize("picture", [full(), run(memory := MemoryStorage(), Monitor(memory).look())])
def test_a_drawing_fits_whatever_size_there_is(picture: Picture) -> None:
    for width in (1, 2, 7, 19, 40, 41, 79, 80, 81, 120, 250):
        for height in (1, 2, 3, 8, 24, 60, 400):
            drawn = draw(picture, "redis://localhost" + HOSTILE, width, height, silence=HOSTILE)
            assert len(drawn) <= height
            for line in drawn:
                assert cell_len(line.plain) <= width
                assert line.plain.isprintable()


def test_a_queue_in_trouble_comes_first_and_what_is_left_out_is_counted() -> None:
    shown = [line.plain for line in draw(full(), "", 100, 30)]
    assert next(line for line in shown if line.startswith("名")).startswith("名名")
    heads = [number for number, line in enumerate(shown) if line.startswith(("QUEUE", "WORKER"))]
    assert "5" in shown[heads[0] + 1] or ".." in shown[heads[0] + 1]
    assert len([line for line in shown if "lines more: " in line]) == 3
    assert len(shown) == 30


def test_nothing_is_left_out_of_what_is_printed_once() -> None:
    shown = lines(full(), "")
    assert len(shown) == 2 + 140 + 2 + 71 + 71
    assert not any("lines more" in line for line in shown)


def test_the_command_needs_no_terminal_library_until_it_runs() -> None:
    code = "import distq.cli, sys; sys.exit('rich.live' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
