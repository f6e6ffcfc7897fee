"""The contract of every contender: what `adapters.base.Adapter` says and what its promise row says."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import psycopg
import pytest
import redis
from pika.exceptions import ChannelClosedByBroker

from adapters.base import Adapter, AdapterError, Cell, JobSpec, Service, expected_result
from adapters.registry import REGISTRY, Unavailable, UnknownAdapter, load
from tests.handlers import RELEASED, jobs, moments
from tests.helpers import eventually
from tests.pools import ROOT, running_pool, session_of

# kombu's models use a loader strategy that SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*:sqlalchemy.exc.SADeprecationWarning")

JOBS = [JobSpec(number, "x" * number) for number in range(1, 21)]
IDS = [job.id for job in JOBS]
EXPECTED = {job.id: expected_result(job) for job in JOBS}
CLOSED = {
    Service.POSTGRES: "postgresql://postgres:secret@127.0.0.1:1/postgres",
    Service.REDIS: "redis://:secret@127.0.0.1:1/0",
    Service.RABBITMQ: "amqp://guest:secret@127.0.0.1:1/%2F",
}
SETTLE_UNSEEN = {"null", "celery-postgres"}
AT_MOST_ONCE = {"null", "celery-postgres"}
SOON_S = 60
NOT_AGAIN_S = 2

MakeCell = Callable[..., Cell]


@pytest.fixture
def make_cell(tmp_path: Path, server_url: Callable[[Service], str]) -> MakeCell:
    """Makes the cell of a contender, with the servers it needs."""

    def make(name: str, **settings: object) -> Cell:
        urls = {service: server_url(service) for service in load(name).needs}
        namespace = f"contract_{os.getpid()}_{time.monotonic_ns()}"
        fields = {"adapter": name, "namespace": namespace, "urls": urls, "directory": tmp_path}
        return Cell.model_validate(fields | {"handler": "tests.handlers:SpyHandler"} | settings)

    return make


@contextmanager
def set_up(cell: Cell) -> Iterator[Adapter]:
    adapter = load(cell.adapter)(cell)
    adapter.setup()
    try:
        yield adapter
    finally:
        adapter.teardown()


def submit(adapter: Adapter, specs: list[JobSpec]) -> None:
    submissions = list(adapter.submit(specs))
    assert sorted(submission.id for submission in submissions) == [job.id for job in specs]
    assert {submission.status for submission in submissions} == {"accepted"}


def run_all(cell: Cell, adapter: Adapter) -> None:
    """Submit the jobs and see each run and settled once, its result stored and the queue empty."""
    submit(adapter, JOBS)
    eventually(lambda: len(jobs(cell.directory, "finished")) >= len(JOBS), timeout=30)
    eventually(lambda: adapter.results(IDS) == EXPECTED)
    eventually(lambda: adapter.depth() == 0)
    assert jobs(cell.directory, "started") == IDS
    assert jobs(cell.directory, "finished") == IDS
    settled = [] if cell.adapter in SETTLE_UNSEEN else IDS
    eventually(lambda: jobs(cell.directory, "settled") == settled)


def objects_on(cell: Cell) -> set[str]:
    """Everything on the cell's servers; of RabbitMQ what the cell may have made, for AMQP lists nothing."""
    found: set[str] = set()
    if url := cell.urls.get(Service.POSTGRES):
        with psycopg.connect(url) as connection:
            query = "SELECT nspname FROM pg_namespace UNION ALL SELECT relname FROM pg_class"
            found.update(name for (name,) in connection.execute(query))
    if url := cell.urls.get(Service.REDIS):
        with redis.Redis.from_url(url) as client:
            found.update(map(str, client.scan_iter()))
    if url := cell.urls.get(Service.RABBITMQ):
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            found.update(_on_rabbitmq(connection, cell.namespace))
    return found


def _on_rabbitmq(connection: pika.BlockingConnection, namespace: str) -> Iterator[str]:
    exchanges = ("{}", "{}.pidbox", "reply.{}.pidbox", "{}.events")
    for kind, name in [("queue", "{}"), *(("exchange", pattern) for pattern in exchanges)]:
        channel = connection.channel()
        try:
            getattr(channel, f"{kind}_declare")(name.format(namespace), passive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code != 404:
                raise
        else:
            yield f"{kind} {name.format(namespace)}"


@pytest.mark.parametrize("name", REGISTRY)
def test_runs_every_job_once_and_leaves_nothing(name: str, make_cell: MakeCell) -> None:
    cell = make_cell(name)
    before = objects_on(cell)
    with set_up(cell) as adapter:
        adapter.setup()
        with running_pool(cell) as pool:
            run_all(cell, adapter)
            assert not cell.urls or objects_on(cell) - before, "this test does not see what contenders make"
            settings = adapter.effective_settings()
            assert settings
            assert all(isinstance(value, str) for item in settings.items() for value in item)
            pool.terminate()
            assert pool.wait(timeout=10) == 0
            assert session_of(pool) == []
        adapter.teardown()
    assert objects_on(cell) - before == set()
    expect_settled_last(cell)


def expect_settled_last(cell: Cell) -> None:
    """See that each job was settled once, where that is seen at all, and after it had finished."""
    ends = [(moment.job, moment.what) for moment in moments(cell.directory) if moment.what != "started"]
    seen = ["finished"] if cell.adapter in SETTLE_UNSEEN else ["finished", "settled"]
    assert sorted(ends, key=lambda end: end[0]) == [(job, what) for job in IDS for what in seen]


@pytest.mark.parametrize(("profile", "tier"), [("default", "memory"), ("tuned", "strict")])
@pytest.mark.parametrize("name", REGISTRY)
def test_runs_every_job_once_in_each_profile_and_tier(
    name: str, profile: str, tier: str, make_cell: MakeCell
) -> None:
    cell = make_cell(name, profile=profile, tier=tier)
    with set_up(cell) as adapter, running_pool(cell):
        run_all(cell, adapter)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_killed_workers_job_runs_again_as_promised(name: str, make_cell: MakeCell) -> None:
    cell = make_cell(name, work="held")
    promised_s = load(name).promises("matched").redelivery_s
    with set_up(cell) as adapter, running_pool(cell):
        submit(adapter, JOBS[:1])
        (first,) = eventually(lambda: moments(cell.directory), timeout=30)
        os.kill(first.pid, signal.SIGKILL)
        (cell.directory / RELEASED).touch()
        expect_run_again(cell, promised_s is not None and promised_s <= SOON_S)


@pytest.mark.parametrize(
    ("name", "again", "depth"),
    [("celery-redis", False, 1), ("celery-rabbitmq", True, 0), ("celery-postgres", False, 0)],
)
def test_a_killed_celery_pools_job(name: str, again: bool, depth: int, make_cell: MakeCell) -> None:
    """Where the broker sees a lost connection at once; after an hour on Redis; never in the database."""
    cell = make_cell(name, work="held")
    with set_up(cell) as adapter:
        with running_pool(cell):
            submit(adapter, JOBS[:1])
            eventually(lambda: moments(cell.directory), timeout=30)
        (cell.directory / RELEASED).touch()
        with running_pool(cell):
            expect_run_again(cell, again)
            assert adapter.depth() == depth


def expect_run_again(cell: Cell, again: bool) -> None:
    """See the first job finish, or see it not even start a second time for a while."""
    if again:
        eventually(lambda: jobs(cell.directory, "finished") == [1], timeout=SOON_S)
    else:
        with pytest.raises(AssertionError):
            eventually(lambda: jobs(cell.directory, "started") == [1, 1], timeout=NOT_AGAIN_S)


@pytest.mark.parametrize(
    ("name", "service"), [(name, service) for name in REGISTRY for service in sorted(load(name).needs)]
)
def test_a_closed_port_is_an_error_in_one_line(name: str, service: Service, make_cell: MakeCell) -> None:
    cell = make_cell(name)
    cell = cell.model_copy(update={"urls": {**cell.urls, service: CLOSED[service]}})
    started = time.monotonic()
    with pytest.raises(AdapterError) as caught:
        load(name)(cell).setup()
    assert time.monotonic() - started < 5
    assert "\n" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", REGISTRY)
def test_names_itself_and_promises_for_each_profile(name: str) -> None:
    adapter = load(name)
    assert adapter.name == name
    for profile in ("default", "matched", "tuned"):
        promises = adapter.promises(profile)
        assert promises.delivery == "at least once" or profile == "default" or name in AT_MOST_ONCE


@pytest.mark.parametrize("name", REGISTRY)
def test_says_in_a_few_lines_what_is_not_equal(name: str) -> None:
    unequal = load(name).unequal
    assert 2 <= len(unequal) <= 5
    assert all(line == " ".join(line.split()) and line.endswith(".") for line in unequal)


@pytest.mark.parametrize("name", REGISTRY)
def test_the_documented_promise_row_is_the_contenders(name: str) -> None:
    assert promise_row(name) in (ROOT / "docs" / "adapters.md").read_text().splitlines()


def promise_row(name: str) -> str:
    row = load(name).promises("matched")
    again = "never" if row.redelivery_s is None else f"{row.redelivery_s:g} s"
    cells = (
        row.delivery,
        row.acked,
        again,
        "yes" if row.fenced else "no",
        row.prefetch,
        row.batch,
        row.results,
    )
    return f"| {' | '.join((name, *cells))} |"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownAdapter, match="did you mean celery-redis"):
        load("celery-reddis")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.startswith(("adapters.celery", "celery.")):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(Unavailable, match=r"pip install 'distq\[celery\]'"):
        load("celery-redis")
