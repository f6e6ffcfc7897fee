"""The client against a real `distq serve`, on both stores."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from distq import (
    ConfigurationError,
    InvalidArguments,
    JobCancelled,
    JobExists,
    JobFailed,
    JobNotFound,
    JobState,
    ResultTimeout,
    StorageUnavailable,
    UnknownTask,
)
from distq.client import Client, ServiceError
from distq.connect import connect
from distq.ids import EXAMPLE
from distq.job import Filter, JobRecord, OutcomeKind
from distq.messages import RemoteError, encode_error
from distq.service.errors import KINDS, Forbidden, NotFound, Unauthorized
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, settle, take
from tests.services import OPERATE, READ, served
from tests.world import url_of

APP = """
from distq import DistQ
app = DistQ("memory://")

@app.task(name="send", queue="mail")
def send(to: str, copies: int = 1) -> str:
    return to * copies

@app.cron("0 5 * * *")
@app.task(name="report", queue="reports")
def report() -> None: ...
"""
ERROR = encode_error(RemoteError("ValueError", "no such address", "Traceback …"))


@pytest.fixture(scope="module", params=["postgres", "redis"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The URL of a storage, and of a service over it."""
    url, directory = url_of(request, request.param), tmp_path_factory.mktemp("app")
    (directory / "shop.py").write_text(APP)
    storage = connect(url)
    storage.migrate()
    tokens = {"DISTQ_TOKEN": OPERATE, "DISTQ_READ_TOKEN": READ}
    with served("--url", url, "--app", "shop:app", cwd=directory, **tokens) as process:
        yield url, process.url
    storage.close()


@pytest.fixture
def storage(place: tuple[str, str]) -> Iterator[Storage]:
    """Without the jobs of the test before."""
    storage = connect(place[0])
    for queue in storage.run(storage.queues()):
        storage.run(storage.pause(queue, paused=False))
        for state in (JobState.READY, JobState.SCHEDULED, JobState.DEAD, JobState.DONE, JobState.CANCELLED):
            while ids := [job.id for job in found(storage, queue, state)]:
                storage.run(storage.remove(ids))
    yield storage
    storage.close()


def found(storage: Storage, queue: str, state: JobState) -> list[JobRecord]:
    return storage.run(storage.find(Filter(queue, state), limit=500)).jobs


@pytest.fixture
def client(place: tuple[str, str], storage: Storage) -> Iterator[Client]:
    with Client(place[1], token=OPERATE) as client:
        yield client


def end(storage: Storage, kind: OutcomeKind, body: bytes) -> str:
    (job_id,) = add(storage)
    settle(storage, take(storage), kind, body=body)
    return job_id


def test_jobs_are_enqueued_and_looked_at(client: Client) -> None:
    job = client.enqueue("send", ["a@b.c"], {"copies": 2}, priority=3, delay=60)
    assert (job.state, job.created) == (JobState.SCHEDULED, True)
    detail = client.job(job.id)
    assert (detail.task, detail.priority, detail.arguments) == ("send", 3, {"to": "a@b.c", "copies": 2})
    assert detail.timeline[0].what == "enqueued"
    assert detail.why.state is JobState.SCHEDULED
    at = datetime.now(UTC) + timedelta(hours=1)
    assert client.enqueue("send", ["a"], run_at=at).state is JobState.SCHEDULED


def test_enqueueing_is_safe_to_repeat_with_a_key(client: Client) -> None:
    first = client.enqueue("send", ["a"], idempotency_key=f"k{datetime.now(UTC)}".replace(" ", ""))
    assert first.created
    key = f"b{datetime.now(UTC):%H%M%S%f}"
    batches = [client.enqueue_many("send", [["a"], {"to": "b"}], idempotency_key=key) for _ in range(2)]
    assert [[job.created for job in batch.jobs] for batch in batches] == [[True, True], [False, False]]
    assert [job.id for job in batches[0].jobs] == [job.id for job in batches[1].jobs]


def test_errors_are_those_of_distq(client: Client) -> None:
    with pytest.raises(UnknownTask, match="'nix'") as unknown:
        client.enqueue("nix")
    assert unknown.value.name == "nix"
    with pytest.raises(InvalidArguments, match="to:") as invalid:
        client.enqueue("send")
    assert (invalid.value.task, "to" in invalid.value.problems) == ("send", True)
    job = client.enqueue("send", ["a"], key="taken")
    with pytest.raises(JobExists, match="taken") as exists:
        client.enqueue("send", ["a"], key="taken", on_conflict="error")
    assert (exists.value.key, exists.value.job_id) == ("taken", job.id)
    with pytest.raises(JobNotFound) as missing:
        client.job(EXAMPLE)
    assert missing.value.job_id == EXAMPLE
    with pytest.raises(JobNotFound, match="no job id"):
        client.job("nix/..?#%")
    with pytest.raises(ConfigurationError, match="priority"):
        client.enqueue("send", ["a"], priority=11)
    with pytest.raises(NotFound):
        client.queue("nowhere")


def test_every_kind_of_problem_becomes_its_error() -> None:
    for kind, (status, name) in KINDS.items():
        problem = {"type": f"urn:distq:problem:{name}", "detail": "why", "about": {"job_id": "x"}}
        transport = httpx.MockTransport(lambda _, s=status, p=problem: httpx.Response(s, json=p))
        with (
            Client("http://service", transport=transport) as client,
            pytest.raises(kind, match="why") as caught,
        ):
            client.queues()
        assert type(caught.value) is kind
        assert vars(caught.value)["job_id"] == "x"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>Bad Gateway"),
        httpx.Response(500, json={"type": "urn:distq:problem:internal", "detail": "a fault", "about": {}}),
        httpx.Response(404, json={"detail": "Not Found"}),
        httpx.Response(404, json=[]),
        httpx.Response(404, json={"type": 5, "detail": "x", "about": {}}),
        httpx.Response(
            404, json={"type": "urn:distq:problem:job-not-found", "detail": "x", "about": ["job_id"]}
        ),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"jobs": 1}),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
    ],
)
def test_what_is_no_answer_of_a_service(answer: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: answer)
    with (
        Client("http://service", transport=transport) as client,
        pytest.raises(ServiceError, match="http://service"),
    ):
        client.queues()


def test_roles(place: tuple[str, str]) -> None:
    with Client(place[1], token=READ) as reader:
        assert reader.queues().queues is not None
        assert reader.metrics().startswith("# HELP")
        with pytest.raises(Forbidden):
            reader.pause(QUEUE)
    with Client(place[1]) as nobody:
        assert nobody.ready().status == "ok"
        with pytest.raises(Unauthorized):
            nobody.queues()


def test_results_are_waited_for(client: Client, storage: Storage) -> None:
    assert client.result(end(storage, OutcomeKind.DONE, b'{"a": [1]}')) == {"a": [1]}
    with pytest.raises(JobFailed) as failed:
        client.result(end(storage, OutcomeKind.DEAD, ERROR))
    assert (failed.value.type, failed.value.message) == ("ValueError", "no such address")
    waiting = client.enqueue("send", ["a"])
    with pytest.raises(ResultTimeout):
        client.result(waiting.id, timeout=0.1)
    client.cancel(waiting.id, "not wanted")
    with pytest.raises(JobCancelled, match="not wanted"):
        client.result(waiting.id)


def test_lists_are_read_page_by_page(client: Client, storage: Storage) -> None:
    ids = add(storage, 7)
    assert [job.id for job in client.jobs(limit=3, queue=QUEUE)] == ids
    assert [job.id for job in client.page(limit=3, state=["ready"]).jobs] == ids[:3]
    assert [job.id for job in client.jobs(order="latest", state=JobState.READY)] == ids[::-1]
    dead = end_one(storage)
    assert [job.id for job in client.jobs(text="no such address")] == [dead]


def end_one(storage: Storage) -> str:
    lease, *_ = take(storage, 1)
    settle(storage, [lease], OutcomeKind.DEAD, body=ERROR)
    return lease.id


def test_jobs_are_steered(client: Client, storage: Storage) -> None:
    job = client.enqueue("send", ["a"])
    assert client.cancel(job.id).state is JobState.CANCELLED
    assert client.replay(job.id).changed
    assert client.matching(QUEUE, states=["ready"]).number == 1
    assert client.cancel_matching(QUEUE, "enough").cancelled == 1
    assert client.replay_matching(QUEUE, states=["cancelled"], text="enough").replayed == 1
    assert client.purge_matching(QUEUE, ["ready"]).purged == 1
    dead = end(storage, OutcomeKind.DEAD, ERROR)
    (group,) = client.dead(QUEUE).groups
    assert (group.type, group.number) == ("ValueError", 1)
    assert client.replay_matching(QUEUE, task=group.task, text=group.text or "").replayed == 1
    assert client.job(dead).state is JobState.READY


def test_queues_are_steered(client: Client) -> None:
    client.enqueue("send", ["a"])
    assert client.pause(QUEUE).paused
    assert client.queue(QUEUE).paused
    assert not client.resume(QUEUE).paused
    assert QUEUE in [queue.name for queue in client.queues().queues] or client.queue(QUEUE)


def test_the_deployment(client: Client, place: tuple[str, str]) -> None:
    assert [task.name for task in client.tasks().tasks] == ["report", "send"]
    assert client.workers().workers == []
    assert client.troubles().at.tzinfo
    assert client.pause_schedule("reports", "report").paused
    (schedule,) = client.schedules().schedules
    assert schedule.paused
    assert not client.resume_schedule("reports", "report").paused
    with pytest.raises(NotFound):
        client.pause_schedule("reports", "a/b c?")


def test_where_there_is_no_service() -> None:
    with (
        Client("http://127.0.0.1:9", timeout=2) as client,
        pytest.raises(StorageUnavailable, match=":9 does not"),
    ):
        client.queues()


@pytest.mark.parametrize(("url", "token"), [("localhost:8080", ""), ("", ""), ("http://localhost", "ümläut")])
def test_what_leads_to_no_service(url: str, token: str) -> None:
    with pytest.raises(ConfigurationError):
        Client(url, token=token)


def test_a_client_needs_no_web_framework() -> None:
    code = "import distq.client, sys; print({'fastapi', 'starlette', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.stderr) == ("set()", "")
