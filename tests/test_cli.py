"""The command line as a user meets it: what it does, and that every mistake is one line."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from typer.main import get_command

from distq import StorageUnavailable
from distq.cli import cli
from distq.cli import session as sessions
from distq.cli.session import Session
from distq.connect import connect
from distq.job import OutcomeKind
from distq.storage import Storage
from tests.commands import ARGV, apart, distq
from tests.contract.steps import WHY, add, keyed, make, settle, take
from tests.world import url_of

APP = """
from distq import DistQ
app = DistQ({url!r})
number = 5

@app.task(name="add", queue="mail", priority=4)
def add(a: int, b: int = 1) -> int:
    return a + b
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_URL", raising=False)


@pytest.fixture
def schema_url(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL that is not migrated."""
    return url_of(request, "postgres")


@pytest.fixture
def prefix_url(request: pytest.FixtureRequest) -> str:
    """The same of Redis."""
    return url_of(request, "redis")


@pytest.fixture(params=["postgres", "redis"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A storage that is ready, and in the environment."""
    url = url_of(request, request.param)
    storage = connect(url)
    storage.migrate()
    storage.close()
    monkeypatch.setenv("DISTQ_URL", url)
    return url


@pytest.fixture
def storage(url: str) -> Iterator[Storage]:
    storage = connect(url)
    yield storage
    storage.close()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes an application for a URL into the current directory, and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(url: str, text: str = APP) -> str:
        name = f"jobs_{uuid.uuid4().hex[:8]}"
        (tmp_path / f"{name}.py").write_text(text.format(url=url))
        return name

    return write


def new_id() -> str:
    return make()[0].id


SOME_ID = "mail:0198c0ffee0070008000000000000000"


# -- migrate ---------------------------------------------------------------------------------------------


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


# -- enqueue ---------------------------------------------------------------------------------------------


def test_enqueue_through_an_application(url: str, storage: Storage, module: Callable[[str], str]) -> None:
    reference = f"{module(url)}:app"
    ids = [
        distq("enqueue", "add", arguments, "--app", reference).out.strip()
        for arguments in ('{"a": 5}', "[5]")
    ]
    options = ("--queue", "bulk", "--delay", "60", "--priority", "0", "--key", "k")
    ids.append(distq("enqueue", "add", "[1, 2]", "--app", reference, *options, "--json").value["id"])
    first, second, third = distq("show", *ids, "--json").value
    assert (first["arguments"], first["queue"], first["priority"]) == ({"a": 5, "b": 1}, "mail", 4)
    assert second["arguments"] == first["arguments"]
    assert (third["arguments"], third["queue"], third["state"]) == ({"a": 1, "b": 2}, "bulk", "scheduled")
    assert (third["priority"], third["key"]) == (0, "k")


def test_the_applications_storage_is_used_unless_a_url_is_given(
    url: str, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    assert distq("enqueue", "add", "[1]", "--app", f"{module(url)}:app").status == 0
    elsewhere = f"{module('redis://127.0.0.1:1/0')}:app"
    assert distq("enqueue", "add", "[1]", "--app", elsewhere, "--url", url).status == 0
    distq("enqueue", "add", "[1]", "--app", f"{module('redis://127.0.0.1:1/0')}:app").refused(
        1, "127.0.0.1:1"
    )


def test_enqueue_without_an_application_checks_nothing(url: str) -> None:
    plain = distq("enqueue", "any.task", '{"x": [1, null]}')
    assert (plain.status, plain.err) == (0, "")
    other = distq("enqueue", "any.task", "--queue", "mail", "--delay", "60", "--priority", "9", "--key", "k")
    again = distq("enqueue", "any.task", "--queue", "mail", "--key", "k")
    assert again.out == other.out
    first, second = distq("show", plain.out.strip(), other.out.strip(), "--json").value
    assert (first["queue"], first["task"], first["arguments"]) == ("default", "any.task", {"x": [1, None]})
    assert (second["state"], second["priority"], second["key"]) == ("scheduled", 9, "k")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "[1"], ("not JSON",)),
        (["add", "5"], ("a JSON object, or a list",)),
        (["add", '["a"]'], ("needs --app",)),
        (["add", "--queue", "a b"], ("cannot name a queue",)),
        (["add", "--priority", "10"], ("--priority",)),
        (["add", "--delay", "-1"], ("--delay",)),
        (["add", "--delay", "1e12"], ("delay=", "a year")),
        (["add", "--key", "k" * 513], ("key=",)),
        (["a\nb"], ("cannot name a task",)),
        ([], ("Missing argument", "enqueue --help")),
    ],
)
def test_enqueue_mistakes(arguments: list[str], words: tuple[str, ...]) -> None:
    distq("enqueue", *arguments, "--url", "redis://127.0.0.1:1/0").refused(2, *words)


def test_enqueue_mistakes_with_an_application(module: Callable[[str], str]) -> None:
    reference = f"{module('redis://127.0.0.1:1/0')}:app"
    distq("enqueue", "add", '{"a": "x"}', "--app", reference).refused(2, "'add' are not valid: a:")
    distq("enqueue", "nope", "--app", reference).refused(2, "no task named 'nope'")
    distq("enqueue", "add").refused(2, "no storage is named", "DISTQ_URL")


# -- looking ---------------------------------------------------------------------------------------------


def test_show_tells_all(url: str, storage: Storage) -> None:
    (job_id,) = add(storage, payload=b'{"retries":5}\n{"to":"\\u001b[31m"}', priority=3)
    trace = b'{"type":"E","message":"\\u001b[31mboom\\nred","traceback":"Traceback:\\n  line 1\\n"}'
    settle(storage, take(storage, worker="w1"), OutcomeKind.DEAD, body=trace)
    done = distq("show", job_id)
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    lines = [line.strip() for line in done.out.splitlines()]
    assert lines[0] == job_id
    for line in ("state      dead", "priority   3", 'headers    {"retries":5}', "worker     w1", "line 1"):
        assert line in lines
    assert sum(r"dead on w1: E: \x1b[31mboom" in line for line in lines) == 1
    (seen,) = distq("show", job_id, "--json").value
    assert (seen["state"], seen["error"]["message"]) == ("dead", "\x1b[31mboom\nred")
    assert seen["enqueued_at"].endswith("Z")


def test_jobs_that_are_not_known_are_named_after_the_others(url: str, storage: Storage) -> None:
    (job_id,) = add(storage)
    unknown = new_id()
    for command in ("show", "why"):
        done = distq(command, job_id, unknown, "--json")
        assert done.status == 1
        assert [job["id"] for job in json.loads(done.out)] == [job_id]
        done.complained(unknown, "is not known")
    for command in ("show", "why", "cancel", "replay"):
        for wrong in ("no id", ""):
            distq(command, wrong).refused(1, f"job {wrong!r} is no job id; one looks like mail:")


def test_why_gives_the_answer_and_what_helps(url: str, storage: Storage) -> None:
    (job_id,) = add(storage)
    assert distq("why", job_id).out.splitlines() == [
        f"{job_id}: no live worker serves queue mail",
        "  distq worker MODULE:APP --queues mail",
    ]
    assert distq("why", job_id, "--json").value == [
        {
            "id": job_id,
            "state": "ready",
            "answer": "no live worker serves queue mail",
            "remedy": "distq worker MODULE:APP --queues mail",
        }
    ]


def test_list_filters_and_is_bounded(url: str, storage: Storage) -> None:
    first, second = add(storage, 2)
    settle(storage, take(storage, 1), OutcomeKind.DEAD, body=b'{"type":"E","message":"boom"}')
    add(storage, queue="bulk", delay=60)

    def ids(*arguments: str) -> list[str]:
        return [job["id"] for job in distq("list", *arguments, "--json").value]

    assert len(ids()) == 3
    assert ids("mail") == [second, first]
    assert ids("--state", "dead") == ids("mail", "--text", "boom") == [first]
    assert ids("mail", "--state", "ready", "--state", "dead") == [second, first]
    assert ids("mail", "--task", "other") == ids("--older", "1h") == []
    head, line, more = distq("list", "mail", "--limit", "1").out.splitlines()
    assert head.split() == ["ID", "TASK", "STATE", "SINCE", "TRIES", "ERROR"]
    assert line.split()[:3] == [second, "app.task", "ready"]
    assert "more than 1" in more
    assert distq("list", "mail", "--task", "other").out == "no such jobs\n"


def test_counts_of_some_queues_and_of_all(url: str, storage: Storage) -> None:
    assert distq("counts").out == "there are no queues yet\n"
    add(storage, 2)
    add(storage, 1, queue="bulk", delay=60)
    distq("pause", "bulk")
    head, *rows = (line.split() for line in distq("counts").out.splitlines())
    assert head == ["QUEUE", "SCHEDULED", "READY", "LEASED", "DONE", "DEAD", "CANCELLED", "WORKERS"]
    assert sorted(rows) == [
        ["bulk", "1", "0", "0", "0", "0", "0", "0", "paused"],
        ["mail", "0", "2", "0", "0", "0", "0", "0"],
    ]
    (mail,) = distq("counts", "mail", "--json").value
    assert (mail["name"], mail["paused"], mail["counts"]["ready"], mail["workers"]) == ("mail", False, 2, [])


# -- steering --------------------------------------------------------------------------------------------


def test_pause_and_resume(url: str, storage: Storage) -> None:
    add(storage)
    assert distq("pause", "mail", "bulk").out == "queue mail: paused\nqueue bulk: paused\n"
    assert take(storage) == []
    assert distq("resume", "mail", "--json").value == [{"queue": "mail", "schedule": None, "paused": False}]
    assert len(take(storage)) == 1


def test_pause_and_resume_a_schedule(url: str, storage: Storage) -> None:
    storage.run(storage.schedules("mail", ["nightly"]))
    said = distq("pause", "mail", "--schedule", "nightly").out
    assert said == "queue mail, schedule nightly: paused\n"
    assert [schedule.paused for schedule in storage.run(storage.schedules("mail", [])).schedules] == [True]
    distq("resume", "mail", "--schedule", "nightly")
    assert [schedule.paused for schedule in storage.run(storage.schedules("mail", [])).schedules] == [False]
    refused = distq("pause", "mail", "--schedule", "daily")
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "queue mail has no schedule 'daily'" in refused.err


def test_cancel_by_id(url: str, storage: Storage) -> None:
    running, waiting = add(storage, 2)
    take(storage, 1)
    done = distq("cancel", waiting, running, "--reason", "enough")
    assert done.out.splitlines() == [f"{waiting}: cancelled", f"{running}: asked to end"]
    assert distq("show", waiting, "--json").value[0]["error"]["message"] == "enough"
    again = distq("cancel", waiting, "--json")
    assert again.status == 1
    assert json.loads(again.out) == [{"id": waiting, "outcome": "left as it is: cancelled"}]
    unknown = distq("cancel", running, new_id())
    assert (unknown.status, unknown.out) == (1, f"{running}: asked to end\n")
    unknown.complained("is not known")


def test_cancel_by_filter(url: str, storage: Storage) -> None:
    add(storage, 3)
    take(storage, 1)
    assert distq("cancel", "--queue", "mail", "--task", "other").out == "0 cancelled, 0 asked to end\n"
    assert distq("cancel", "--queue", "mail", "--json").value == {"cancelled": 2, "asked": 1}


def test_replay_by_id_and_by_filter(url: str, storage: Storage) -> None:
    jobs = [keyed("k"), *make(3)]
    storage.run(storage.enqueue(jobs))
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    storage.run(storage.enqueue([keyed("k")]))
    assert distq("replay", jobs[1].id).out == f"{jobs[1].id}: ready again\n"
    refused = distq("replay", jobs[0].id)
    assert (refused.status, refused.out) == (1, f"{jobs[0].id}: left as it is: dead\n")
    assert distq("replay", "--queue", "mail", "--text", "nothing").out == "0 ready again\n"
    assert distq("replay", "--queue", "mail").out == (
        "2 ready again; 1 are not, as another job has their key\n"
    )


def test_purge_and_prune(url: str, storage: Storage) -> None:
    add(storage, 3)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    add(storage, 2)
    add(storage, delay=60)
    assert distq("purge", "mail").out == "3 forgotten\n"
    assert distq("purge", "mail", "--state", "dead", "--older", "1h", "--json").value == {"removed": 0}
    assert distq("prune", "--older", "7d").out == "queue mail: 0 forgotten\n"
    assert distq("prune", "mail", "--beyond", "1", "--json").value == {"mail": 2}
    assert [job["state"] for job in distq("list", "--json").value] == ["dead"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cancel"], ("which jobs?", "--queue")),
        (["cancel", "id", "--queue", "mail"], ("by id, or by --queue and filters: leave out one of both",)),
        (["replay", "id", "--state", "dead"], ("leave out one of both",)),
        (["cancel", "--queue", "mail", "--state", "dead"], ("'dead' cannot be chosen", "ready")),
        (["replay", "--queue", "mail", "--state", "done"], ("'done' cannot be chosen", "dead")),
        (["purge", "mail", "--state", "leased"], ("'leased' cannot be chosen",)),
        (["purge", "a b"], ("cannot name a queue",)),
        (["prune"], ("--older", "--beyond")),
        (["prune", "--older", "soon"], ("--older: 'soon'", "7d")),
        (["list", "--state", "lost"], ("'--state': 'lost' is not one of", "list --help")),
        (["list", "--older", "1y"], ("--older: '1y'", "1h")),
        (["list", "--limit", "0"], ("--limit",)),
        (["pause"], ("Missing argument",)),
        (["frobnicate"], ("No such command 'frobnicate'",)),
        (["counts", "--nonsense"], ("--nonsense",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(
    arguments: list[str], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    distq(*arguments).refused(2, *words)


@pytest.mark.parametrize(
    "line",
    [
        "purge mail --task=",
        "purge mail --text=",
        "purge mail --older=",
        "list --task=",
        "cancel --queue mail --task=",
        "cancel --queue=",
        "replay --queue mail --text=",
        "prune --older= --beyond 1",
        "pause mail --schedule=",
        "enqueue t --queue=",
        "enqueue t --key=",
        "enqueue t --url=",
        "doctor --app=",
        "worker shop:app --queues=",
        "worker shop:app --url=",
    ],
)
def test_an_empty_value_is_refused_and_never_means_all(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    distq(*line.split()).refused(2, "Invalid value for '--", "it is empty")


def test_an_empty_name_of_a_queue_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://127.0.0.1:1/0")
    distq("list", "").refused(2, "it is empty")
    for command in ("counts", "purge", "pause", "prune --beyond 1"):
        distq(*command.split(), "").refused(2, "'' cannot name a queue")
    distq("worker", "shop:app", "--queues", ",").refused(2, "--queues ',' names no queue")


@pytest.mark.parametrize(
    "command",
    ["counts", "list", "pause", "resume", "purge", "prune --beyond 1", "cancel --queue", "replay --queue"],
)
def test_a_queue_of_which_nothing_is_known_is_told(url: str, storage: Storage, command: str) -> None:
    add(storage)
    done = distq(*command.split(), "mial")
    assert done.status == 0
    done.complained("queue mial: it has no job, no worker and no setting yet")
    assert distq("counts", "mail").err == ""


def test_a_url_is_needed() -> None:
    distq("counts").refused(2, "--url", "DISTQ_URL")
    distq("doctor").refused(2, "no storage is named", "--app")


# -- questions -------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A user who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("cancel --queue mail", "Cancel 4 jobs of queue mail, scheduled or ready or leased?"),
        ("cancel --queue mail --task app.task --state ready", "Cancel 3 jobs of queue mail, ready?"),
        ("replay --queue mail", "Replay 1 job of queue mail, dead?"),
        ("purge mail", "Forget 4 jobs of queue mail, scheduled or ready?"),
        ("prune --beyond 0", "Forget 1 job of mail?"),
        ("prune --older 1h", "Forget 0 jobs of mail?"),
    ],
)
def test_what_destroys_asks_a_user_with_the_number(
    url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch, command: str, question: str
) -> None:
    add(storage)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    add(storage, 3)
    add(storage, delay=60)
    before = distq("list", "--json").value
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    done = distq(*command.split(), "--json")
    assert (done.status, question in done.err) == (1, True)
    assert distq("list", "--json").value == before
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert distq(*command.split(), "--json").status == 0
    monkeypatch.setattr("sys.stdin", Terminal())
    assert distq(*command.split(), "--yes", "--json").value is not None


# -- doctor ----------------------------------------------------------------------------------------------


def test_doctor_ends_with_1_where_there_is_a_problem(
    url: str, storage: Storage, module: Callable[[str], str]
) -> None:
    healthy = distq("doctor")
    assert healthy.status == 0
    assert all(line.startswith("ok ") for line in healthy.out.splitlines())
    add(storage)
    done = distq("doctor", "--app", f"{module(url)}:app")
    assert (done.status, done.err) == (1, "")
    assert "problem  queue mail: no live worker serves it, and 1 job could run" in done.out
    assert "application: no live worker serves its queues mail" in done.out
    findings = json.loads(distq("doctor", "--json").out)
    (found,) = [finding for finding in findings if finding["severity"] == "problem"]
    assert set(found) == {"severity", "what", "why", "remedy", "kind", "queue"}
    assert (found["kind"], found["queue"]) == ("unserved", "mail")
    assert {len(finding) for finding in findings if finding["severity"] == "ok"} == {2}


def test_doctor_of_a_storage_that_is_not_migrated(schema_url: str) -> None:
    done = distq("doctor", "--url", schema_url)
    assert (done.status, done.err) == (1, "")
    assert "mend: distq migrate" in done.out


def test_doctor_of_memory() -> None:
    done = distq("doctor", "--url", "memory://")
    assert done.status == 0
    assert "gone with it" in done.out


# -- applications ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "attribute", "words"),
    [
        (APP, "", ("module:attribute",)),
        (APP, ":nothing", ("no attribute 'nothing'",)),
        (APP, ":number", ("a int, not a DistQ",)),
        ("import nowhere", ":app", ("cannot be imported", "No module named 'nowhere'", "line 1")),
        ("\n1/0", ":app", ("cannot be imported: ZeroDivisionError", "line 2")),
        ("x = (", ":app", ("cannot be imported: SyntaxError",)),
        ("from distq import DistQ\napp = DistQ('u:secret@h')", ":app", ("no storage takes", "line 2")),
    ],
)
def test_an_app_that_cannot_be_found_is_one_line(
    module: Callable[[str, str], str], text: str, attribute: str, words: tuple[str, ...]
) -> None:
    name = module("memory://", text)
    for command in (("worker", f"{name}{attribute}"), ("doctor", "--app", f"{name}{attribute}")):
        done = distq(*command)
        done.refused(2, *words)
        assert "secret" not in done.err
    distq("worker", "nowhere:app").refused(2, "no module named 'nowhere'")


def test_bad_options_are_refused(module: Callable[[str], str]) -> None:
    name = module("memory://")
    for option in ("--processes=0", "--concurrency=0", "--ttl=0", "--grace=-1"):
        distq("worker", f"{name}:app", option).refused(2, option.partition("=")[0])
    distq("worker", f"{name}:app", "--queues", "a b").refused(2, "cannot name a queue")


# -- help ------------------------------------------------------------------------------------------------

COMMANDS = [command.name or "" for command in get_command(cli).commands.values()]  # pyright: ignore


def test_help_names_every_command() -> None:
    listed = distq("--help")
    assert listed.status == 0
    assert " ".join(COMMANDS) == (
        "migrate worker serve enqueue show why list counts cancel replay pause resume purge prune doctor top"
    )
    assert all(f" {command} " in listed.out for command in COMMANDS)
    bare = distq()
    assert (bare.status, bare.out) == (2, listed.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    done = distq(command, "--help")
    assert done.status == 0
    if command != "worker":
        assert f"Example: distq {command}" in done.out
        assert "--json" in done.out


def test_the_shell_completes_commands() -> None:
    words = {"_DISTQ_COMPLETE": "complete_bash", "COMP_WORDS": "distq re", "COMP_CWORD": "1"}
    assert apart(**words).out.split() == ["replay", "resume"]
