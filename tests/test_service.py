"""The JSON API as a program meets it, on each storage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import distq.service
from distq import ConfigurationError, DistQ
from distq.admin.crew import Activity, Vitals
from distq.connect import connect
from distq.ids import EXAMPLE
from distq.job import Filter, JobState, OutcomeKind, Presence
from distq.memory.storage import MemoryStorage
from distq.messages import RemoteError, encode_error
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, keyed, record, settle, state, take
from tests.helpers import eventually
from tests.services import READ, STORES, TOKENS, Visitor, app_on, open_storage, service_on, visiting
from tests.world import url_of

ERROR = encode_error(RemoteError("ValueError", "no such address", "Traceback (most recent call last): …"))


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    yield from open_storage(request, request.param)


@pytest.fixture
def app(storage: Storage) -> DistQ:
    return app_on(storage)


@pytest.fixture
def visit(storage: Storage, app: DistQ) -> Iterator[Visitor]:
    with visiting(service_on(storage, app=app)) as visit:
        yield visit


@pytest.fixture
def light() -> Iterator[Visitor]:
    """For what no storage has a part in."""
    storage = MemoryStorage()
    with visiting(service_on(storage, app=app_on(storage))) as visit:
        yield visit


def counts(storage: Storage, queue: str = QUEUE) -> dict[JobState, int]:
    return {state: number for state, number in storage.run(storage.counts(queue)).items() if number}


def problem(response: httpx.Response, status: int, kind: str, *words: str) -> dict[str, Any]:
    """Assert that it is this problem, and that its detail is one line with these words."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    found = response.json()
    assert (found["type"], found["status"]) == (f"urn:distq:problem:{kind}", status)
    assert len(found["detail"].splitlines()) == 1
    for word in words:
        assert word in found["detail"], found["detail"]
    return found


def end(storage: Storage, kind: OutcomeKind, body: bytes = ERROR, count: int = 1) -> list[str]:
    """Jobs that ended so."""
    ids = add(storage, count)
    settle(storage, take(storage), kind, body=body)
    return ids


# -- enqueue ---------------------------------------------------------------------------------------------


def test_an_enqueued_job_is_in_the_storage(visit: Visitor, storage: Storage) -> None:
    response = visit.post("/api/jobs", {"task": "shop.send", "args": ["a@b.c"], "kwargs": {"copies": 2}})
    assert response.status_code == 201
    answer = response.json()
    assert (answer["state"], answer["created"]) == ("ready", True)
    found = record(storage, answer["id"])
    assert (found.task, found.state, found.payload) == (
        *("shop.send", JobState.READY),
        b'{}\n{"to":"a@b.c","copies":2}',
    )


def test_options_are_those_of_a_task(visit: Visitor, storage: Storage) -> None:
    options = {"queue": "bulk", "delay": 100, "priority": 7, "retries": 5, "key": "x", "unique": "waiting"}
    answer = visit.post("/api/jobs", {"task": "shop.send", "args": ["a"], "options": options}).json()
    assert answer["state"] == "scheduled"
    found = record(storage, answer["id"])
    assert found.id.startswith("bulk:")
    assert (found.priority, found.key, found.state) == (7, "x", JobState.SCHEDULED)
    assert found.payload.startswith(b'{"retries":5}\n')
    at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    answer = visit.post("/api/jobs", {"task": "shop.any", "options": {"run_at": at}}).json()
    assert answer["state"] == "scheduled"
    assert abs((record(storage, answer["id"]).ready_at or 0) - datetime.now(UTC).timestamp() - 3600) < 30


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"task": "shop.nix"}, "unknown-task", ["shop.nix"]),
        ({"task": "shop.send"}, "invalid-arguments", ["to"]),
        ({"task": "shop.send", "args": ["a"], "kwargs": {"to": "b"}}, "invalid-arguments", ["to"]),
        ({"task": "shop.send", "args": ["a"], "kwargs": {"self": "b"}}, "invalid-arguments", ["self"]),
        ({"task": "shop.send", "args": ["a", "many"]}, "invalid-arguments", ["copies"]),
        ({"task": "shop.any", "args": [], "more": 1}, "invalid-request", ["body.more"]),
        ({"task": "shop.any", "options": {"connection": 1}}, "invalid-request", ["connection"]),
        ({"task": "shop.any", "options": {"priority": 10}}, "invalid-request", ["priority"]),
        ({"task": "shop.any", "options": {"priority": "1"}}, "invalid-request", ["priority"]),
        ({"task": "shop.any", "options": {"queue": "a b"}}, "invalid-request", ["queue"]),
        ({"task": "shop.any", "options": {"run_at": "2030-01-01T00:00:00"}}, "invalid-request", ["run_at"]),
        (
            {"task": "shop.any", "options": {"delay": 5, "run_at": "2027-01-01T00:00:00Z"}},
            "invalid-request",
            [],
        ),
        ({"task": "shop.any", "options": {"unique": 5}}, "invalid-request", ["key"]),
        ({"task": "shop.any", "options": {"key": "k" * 600}}, "invalid-request", ["key"]),
        ({"task": "shop.any", "options": {"key": "\0"}}, "invalid-request", ["key"]),
        ({"args": []}, "invalid-request", ["body.task"]),
        ([], "invalid-request", ["body"]),
    ],
)
def test_what_cannot_be_enqueued_is_said_in_one_line(
    light: Visitor, body: Any, kind: str, words: list[str]
) -> None:
    problem(light.post("/api/jobs", body), 422, kind, *words)
    assert light.value("/api/jobs")["jobs"] == []


def test_a_key_that_is_taken(visit: Visitor) -> None:
    body = {"task": "shop.any", "options": {"key": "x"}}
    first = visit.post("/api/jobs", body).json()
    second = visit.post("/api/jobs", body)
    assert second.status_code == 200
    assert second.json() == {**first, "created": False}
    refused = visit.post("/api/jobs", {"task": "shop.any", "options": {"key": "x", "on_conflict": "error"}})
    assert problem(refused, 409, "key-taken", first["id"])["about"] == {"key": "x", "job_id": first["id"]}


def test_the_same_idempotency_key_gives_the_same_job(visit: Visitor, storage: Storage) -> None:
    def ask(key: str, task: str = "shop.any") -> httpx.Response:
        return visit.post("/api/jobs", {"task": task}, headers={"Idempotency-Key": key})

    first = ask("a")
    assert first.status_code == 201
    again = ask("a")
    assert again.status_code == 200
    assert again.json() == {"id": first.json()["id"], "state": "ready", "created": False}
    assert ask("b").json()["id"] != first.json()["id"]
    assert ask("a", "shop.report").json()["created"]
    storage.run(storage.cancel([first.json()["id"]], reason=ERROR))
    assert ask("a").json() == {"id": first.json()["id"], "state": "cancelled", "created": False}


def test_a_job_that_has_been_forgotten_keeps_its_idempotency_key(visit: Visitor, storage: Storage) -> None:
    body = {"task": "shop.any", "options": {"queue": QUEUE}}
    first = visit.post("/api/jobs", body, headers={"Idempotency-Key": "a"}).json()
    settle(storage, take(storage), OutcomeKind.DONE, body=b"1")
    storage.run(storage.remove([first["id"]]))
    again = visit.post("/api/jobs", body, headers={"Idempotency-Key": "a"}).json()
    assert again == {"id": first["id"], "state": None, "created": False}


def test_of_many_at_once_with_one_idempotency_key_one_makes_the_job(visit: Visitor, storage: Storage) -> None:
    answers = visit.at_once(
        12, "POST", "/api/jobs", json={"task": "shop.any"}, headers={"Idempotency-Key": "a"}
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert counts(storage, "default") == {JobState.READY: 1}


@pytest.mark.parametrize(
    ("options", "task"), [({"key": "x"}, "shop.any"), ({"unique": 9}, "shop.any"), ({}, "shop.once")]
)
def test_an_idempotency_key_and_another_key_exclude_each_other(
    light: Visitor, options: Any, task: str
) -> None:
    body = {"task": task, "options": options}
    problem(light.post("/api/jobs", body, headers={"Idempotency-Key": "a"}), 422, "invalid-request", "key")


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 201])
def test_what_is_no_idempotency_key(light: Visitor, key: str) -> None:
    response = light.post("/api/jobs", {"task": "shop.any"}, headers={b"idempotency-key": key.encode()})
    problem(response, 422, "invalid-request", "dempotency-")


def test_a_batch_is_in_the_order_of_its_calls(visit: Visitor, storage: Storage) -> None:
    calls = [{"args": [f"{n}"]} for n in range(1000)]
    response = visit.post("/api/jobs/batch", {"task": "shop.send", "calls": calls})
    assert response.status_code == 201
    jobs = response.json()["jobs"]
    assert all(job["created"] for job in jobs)
    assert b'"to":"7"' in record(storage, jobs[7]["id"]).payload
    assert counts(storage, "mail") == {JobState.READY: 1000}


def test_a_batch_with_an_idempotency_key(visit: Visitor, storage: Storage) -> None:
    body = {"task": "shop.send", "calls": [{"args": ["a"]}, {"args": ["a"]}]}
    answers = visit.at_once(5, "POST", "/api/jobs/batch", json=body, headers={"Idempotency-Key": "a"})
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
    ids = [[job["id"] for job in answer.json()["jobs"]] for answer in answers]
    assert len(set(ids[0])) == 2
    assert all(each == ids[0] for each in ids)
    assert counts(storage, "mail") == {JobState.READY: 2}


@pytest.mark.parametrize("calls", [[], [{}] * 1001, [{"args": ["a"]}, {"args": []}], [{"args": "a"}], None])
def test_a_batch_is_taken_as_a_whole_or_not(light: Visitor, calls: Any) -> None:
    response = light.post("/api/jobs/batch", {"task": "shop.send", "calls": calls})
    assert response.status_code == 422
    assert light.value("/api/jobs")["jobs"] == []


def test_without_an_application_nothing_can_be_enqueued() -> None:
    with visiting(service_on(MemoryStorage())) as visit:
        problem(visit.post("/api/jobs", {"task": "a"}), 422, "invalid-request", "--app")
        assert visit.value("/api/tasks") == {"tasks": []}


def test_arguments_that_cannot_be_kept(light: Visitor) -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    response = light.post("/api/jobs", {"task": "shop.any", "args": [deep]})
    assert response.status_code in (201, 400, 422)
    large = light.post("/api/jobs", {"task": "shop.any", "args": ["x" * 2**20]})
    problem(large, 422, "invalid-arguments", "max_payload")
    infinite = light.post(
        "/api/jobs", content=b'{"task": "shop.any", "options": {"delay": NaN}}', headers=JSON
    )
    problem(infinite, 422, "invalid-request", "delay")


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("content", [b"{", b"\xff", b'"\\ud800"', b"[" * 100_000, b""])
def test_what_is_no_json(light: Visitor, content: bytes) -> None:
    response = light.post("/api/jobs", content=content, headers=JSON)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


# -- one job ---------------------------------------------------------------------------------------------


def test_a_job_tells_all_that_is_known_of_it(visit: Visitor, storage: Storage) -> None:
    (job_id,) = end(storage, OutcomeKind.DEAD)
    job = visit.value(f"/api/jobs/{job_id}")
    assert (job["id"], job["state"], job["queue"], job["redacted"]) == (job_id, "dead", QUEUE, False)
    assert (job["arguments"], job["error"]["type"]) == ({}, "ValueError")
    assert [event["what"] for event in job["timeline"]] == ["enqueued", "dead"]
    assert job["why"]["answer"].startswith("it is dead: ")
    assert job["why"]["remedy"] == f"distq replay {job_id}"


@pytest.mark.parametrize("what", ["", "/result", "/cancel", "/replay"])
def test_an_unknown_job_is_a_404(visit: Visitor, what: str) -> None:
    method = "POST" if what in ("/cancel", "/replay") else "GET"
    for job_id in (EXAMPLE, "nix", "mail:1", "mail:" + "g" * 32, "%00", "a%2Fb", "..%2F..", "é"):
        response = visit(method, f"/api/jobs/{job_id}{what}")
        assert response.status_code == 404, response.text
        assert response.headers["content-type"] == "application/problem+json"


def test_a_job_is_cancelled_and_replayed(visit: Visitor, storage: Storage) -> None:
    (job_id,) = add(storage)
    assert visit.post(f"/api/jobs/{job_id}/cancel", {"reason": "not wanted"}).json() == {
        "id": job_id,
        "state": "cancelled",
        "changed": True,
    }
    assert visit.value(f"/api/jobs/{job_id}")["error"]["message"] == "not wanted"
    again = visit.post(f"/api/jobs/{job_id}/cancel").json()
    assert (again["state"], again["changed"]) == ("cancelled", False)
    assert visit.post(f"/api/jobs/{job_id}/replay").json()["state"] == "ready"
    assert visit.post(f"/api/jobs/{job_id}/replay").json() == {
        "id": job_id,
        "state": "ready",
        "changed": False,
    }
    take(storage)
    running = visit.post(f"/api/jobs/{job_id}/cancel").json()
    assert (running["state"], running["changed"]) == ("leased", True)
    assert record(storage, job_id).cancelling


def test_a_result_is_waited_for(visit: Visitor, storage: Storage) -> None:
    (job_id,) = add(storage)
    waiting = visit.value(f"/api/jobs/{job_id}/result", wait=0)
    assert (waiting["state"], waiting["result"], waiting["error"]) == ("ready", None, None)
    assert visit.value(f"/api/jobs/{job_id}/result", wait=0.05)["state"] == "ready"
    leases = take(storage)
    answers = visit.begin("GET", f"/api/jobs/{job_id}/result", params={"wait": 20})
    settle(storage, leases, OutcomeKind.DONE, body=b'{"sum": 3}')
    assert answers.result(10).json() == {"id": job_id, "state": "done", "result": {"sum": 3}, "error": None}
    (dead,) = end(storage, OutcomeKind.DEAD)
    assert visit.value(f"/api/jobs/{dead}/result")["error"]["type"] == "ValueError"
    assert visit.get(f"/api/jobs/{job_id}/result", params={"wait": 31}).status_code == 422


# -- lists -----------------------------------------------------------------------------------------------


def test_a_list_is_paged_by_its_cursor(visit: Visitor, storage: Storage) -> None:
    dead = end(storage, OutcomeKind.DEAD, count=5)
    ready = add(storage, 3)
    first = visit.value("/api/jobs", limit=4)
    assert [job["id"] for job in first["jobs"][:3]] == ready
    second = visit.value("/api/jobs", limit=4, after=first["after"])
    assert second["after"] is None
    seen = [job["id"] for job in first["jobs"] + second["jobs"]]
    assert sorted(seen) == sorted(ready + dead)


def test_the_filters_of_a_list(visit: Visitor, storage: Storage) -> None:
    def ids(**query: Any) -> list[str]:
        return [job["id"] for job in visit.value("/api/jobs", **query)["jobs"]]

    (dead,) = end(storage, OutcomeKind.DEAD)
    (done,) = end(storage, OutcomeKind.DONE, b"7")
    (ready,) = add(storage)
    (bulk,) = add(storage, queue="bulk")
    (held,) = (entry.id for entry in storage.run(storage.enqueue([keyed("x")])))
    assert set(ids()) == {dead, done, ready, bulk, held}
    assert ids(queue="bulk") == [bulk]
    assert ids(queue=["bulk", QUEUE], state=["dead", "done"]) == [dead, done]
    assert ids(text="no such address") == [dead]
    assert ids(key="x") == [held]
    assert ids(task="app.other") == []
    assert ids(state="ready", older="1h") == []
    assert set(ids(state="ready", newer="3600")) == {ready, bulk, held}
    assert ids(state="ready", queue=QUEUE, order="latest") == [held, ready]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"state": "lost"},
        {"sate": "dead"},
        {"queue": "a b"},
        {"older": "soon"},
        {"older": "-1"},
        {"newer": "1y"},
        {"after": "garbage"},
        {"after": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"after": "ü"},
        {"order": "random"},
        {"text": ""},
        {"task": "\0"},
        {"text": "a\0b"},
    ],
)
def test_what_no_list_is_asked_by(light: Visitor, query: dict[str, Any]) -> None:
    problem(light.get("/api/jobs", params=query), 422, "invalid-request")


# -- many ------------------------------------------------------------------------------------------------


def test_many_are_counted_then_replayed(visit: Visitor, storage: Storage) -> None:
    end(storage, OutcomeKind.DEAD, count=3)
    end(storage, OutcomeKind.DEAD, encode_error(RemoteError("KeyError", "x")), count=2)
    match = visit.value(f"/api/queues/{QUEUE}/matching", state="dead", text="KeyError")
    assert match == {"number": 2, "more": False}
    assert visit.value(f"/api/queues/{QUEUE}/matching", state="dead") == {"number": 5, "more": False}
    done = visit.post(f"/api/queues/{QUEUE}/replay", {"text": "KeyError"})
    assert done.json() == {"replayed": 2, "refused": 0}
    assert counts(storage, QUEUE) == {JobState.DEAD: 3, JobState.READY: 2}


def test_many_are_cancelled(visit: Visitor, storage: Storage) -> None:
    add(storage)
    take(storage)
    add(storage, 3)
    assert visit.post(f"/api/queues/{QUEUE}/cancel", {"reason": "x"}).json() == {"cancelled": 3, "asked": 1}
    page = storage.run(storage.find(Filter(QUEUE, JobState.CANCELLED), limit=1))
    assert b'"x"' in page.jobs[0].body


def test_many_are_purged(visit: Visitor, storage: Storage) -> None:
    dead = end(storage, OutcomeKind.DEAD, count=2)
    add(storage, 3)
    assert visit.post(f"/api/queues/{QUEUE}/purge", {}).status_code == 422
    assert visit.post(f"/api/queues/{QUEUE}/purge", {"states": []}).status_code == 422
    assert visit.post(f"/api/queues/{QUEUE}/purge", {"states": ["ready"]}).json() == {"purged": 3}
    assert visit.post(f"/api/queues/{QUEUE}/purge", {"states": ["dead"], "newer": "1h"}).json()["purged"] == 2
    assert storage.run(storage.get(dead[0])) is None


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("cancel", None),
        ("cancel", {"states": ["dead"]}),
        ("replay", {"states": ["ready"]}),
        ("purge", {"states": ["leased"]}),
        ("purge", {"state": "dead"}),
        ("purge", {"text": ""}),
        ("purge", {"older": 5}),
        ("purge", []),
    ],
)
def test_what_is_not_done_to_many(light: Visitor, action: str, body: Any) -> None:
    light.post("/api/jobs", {"task": "shop.send", "args": ["a"]})
    problem(light.post(f"/api/queues/{QUEUE}/{action}", body), 422, "invalid-request")
    assert [job["state"] for job in light.value("/api/jobs")["jobs"]] == ["ready"]


# -- queues, workers, schedules --------------------------------------------------------------------------


def test_a_queue_is_paused_and_resumed(visit: Visitor, storage: Storage) -> None:
    add(storage, 2)
    assert visit.post(f"/api/queues/{QUEUE}/pause").json() == {"queue": QUEUE, "paused": True}
    assert storage.run(storage.queues()) == {QUEUE: True}
    queue = visit.value(f"/api/queues/{QUEUE}")
    assert (queue["paused"], queue["counts"]["ready"], queue["workers"]) == (True, 2, [])
    assert visit.post(f"/api/queues/{QUEUE}/resume").json() == {"queue": QUEUE, "paused": False}
    (listed,) = visit.value("/api/queues")["queues"]
    assert (listed["name"], listed["paused"]) == (QUEUE, False)


def test_a_new_queue_is_there_at_once(visit: Visitor, storage: Storage) -> None:
    assert visit.value("/api/queues")["queues"] == []
    problem(visit.get("/api/queues/mail"), 404, "not-found", "mail")
    add(storage)
    assert visit.value("/api/queues/mail")["counts"]["ready"] == 1


@pytest.mark.parametrize("name", ["a%20b", "x" * 65, "%00", "é"])
def test_what_cannot_name_a_queue(light: Visitor, name: str) -> None:
    problem(light.get(f"/api/queues/{name}"), 422, "invalid-request")
    problem(light.post(f"/api/queues/{name}/pause"), 422, "invalid-request")


def test_workers_and_troubles(visit: Visitor, storage: Storage) -> None:
    add(storage, queue="unserved")
    vitals = Vitals(memory=2**20, running=(Activity(id=EXAMPLE, task="shop.send", ran=1.5),))
    storage.run(storage.announce(Presence("w1", "here", 7, (QUEUE,), ("t",), vitals=vitals.encode())))
    (worker,) = visit.value("/api/workers")["workers"]
    assert (worker["name"], worker["pid"], worker["vitals"]["memory"]) == ("w1", 7, 2**20)
    assert worker["vitals"]["running"] == [{"id": EXAMPLE, "task": "shop.send", "ran": 1.5}]
    kinds = [trouble["kind"] for trouble in visit.value("/api/troubles")["troubles"]]
    assert "unserved" in kinds


def test_schedules_are_switched(visit: Visitor) -> None:
    (schedule,) = visit.value("/api/schedules")["schedules"]
    assert (schedule["name"], schedule["tz"], schedule["paused"]) == ("shop.report", "Europe/Berlin", False)
    assert schedule["next"]
    switched = visit.post("/api/schedules/reports/shop.report/pause")
    assert switched.json() == {"queue": "reports", "name": "shop.report", "paused": True}
    (schedule,) = visit.value("/api/schedules")["schedules"]
    assert (schedule["paused"], schedule["next"]) == (True, None)
    assert visit.post("/api/schedules/reports/shop.report/resume").json()["paused"] is False
    problem(visit.post("/api/schedules/reports/nix/pause"), 404, "not-found", "nix")
    problem(visit.post("/api/schedules/reports/a%2Fb/pause"), 404, "not-found", "a/b")


def test_tasks_say_what_they_take(light: Visitor) -> None:
    tasks = {task["name"]: task for task in light.value("/api/tasks")["tasks"]}
    assert set(tasks) == {"shop.send", "shop.any", "shop.once", "shop.report"}
    assert tasks["shop.send"]["queue"] == "mail"
    assert tasks["shop.send"]["arguments"]["required"] == ["to"]


def test_dead_letters_come_in_groups(visit: Visitor, storage: Storage) -> None:
    end(storage, OutcomeKind.DEAD, count=3)
    (group,) = visit.value("/api/dead")["groups"]
    assert (group["queue"], group["type"], group["number"]) == (QUEUE, "ValueError", 3)
    assert group["messages"] == ["no such address"]
    filters = {"task": group["task"], "text": group["text"]}
    assert visit.post(f"/api/queues/{QUEUE}/replay", filters).json() == {"replayed": 3, "refused": 0}
    assert visit.value("/api/dead", queue="other")["groups"] == []


# -- probes ----------------------------------------------------------------------------------------------


def test_probes_need_no_token(storage: Storage) -> None:
    with visiting(service_on(storage, tokens=TOKENS), client="203.0.113.9", host="distq.example") as visit:
        assert visit.value("/health") == {"status": "ok"}
        assert visit.value("/ready") == {"status": "ok"}
        assert visit("HEAD", "/health").status_code == visit("HEAD", "/ready").status_code == 200
        problem(visit.get("/metrics"), 401, "unauthorized")


def test_a_storage_that_is_not_migrated_is_not_ready(request: pytest.FixtureRequest) -> None:
    storage = connect(url_of(request, "postgres"))
    with visiting(service_on(storage)) as visit:
        problem(visit.get("/ready"), 503, "schema-mismatch", "run `distq migrate")
        problem(visit.get("/api/queues"), 503, "schema-mismatch", "run `distq migrate")
        assert "distq_up 0.0" in visit.get("/metrics").text
        storage.migrate()
        assert visit.value("/ready") == {"status": "ok"}
        eventually(lambda: visit.get("/api/queues").status_code == 200)
    storage.close()


def test_metrics_tell_of_queues_and_attempts(storage: Storage) -> None:
    end(storage, OutcomeKind.DEAD, count=2)
    add(storage, 3)
    take(storage, 1)
    storage.run(storage.pause("bulk", paused=True))
    vitals = Vitals(running=(Activity(id=EXAMPLE, task="t", ran=1.0),)).encode()
    presence = Presence(
        "w1", "h", 1, (QUEUE,), ("t",), vitals=vitals, tallies={QUEUE: {"dead": 2, "done": 5}}
    )
    storage.run(storage.announce(presence))
    with visiting(service_on(storage, tokens=TOKENS), token=READ, client="203.0.113.9") as visit:
        response = visit.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        samples = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
        assert samples["distq_up"] == "1.0"
        assert samples['distq_jobs{queue="mail",state="ready"}'] == "2.0"
        assert samples['distq_jobs{queue="mail",state="leased"}'] == "1.0"
        assert samples['distq_jobs{queue="mail",state="dead"}'] == "2.0"
        assert samples['distq_workers{queue="mail"}'] == "1.0"
        assert samples['distq_running{queue="mail"}'] == "1.0"
        assert samples['distq_queue_paused{queue="bulk"}'] == "1.0"
        assert float(samples['distq_oldest_ready_seconds{queue="mail"}']) >= 0
        assert samples['distq_attempts_total{outcome="done",queue="mail"}'] == "5.0"
        assert samples['distq_attempts_total{outcome="retry",queue="mail"}'] == "0.0"
        assert 'distq_troubles{severity="problem"}' in samples
        open_metrics = visit.get(
            "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
        )
        assert open_metrics.text.endswith("# EOF\n")
        odd = visit.get("/metrics", headers={"accept": "application/openmetrics-text; version=latest"})
        assert odd.headers["content-type"].startswith("text/plain")


# -- in an application of somebody's ---------------------------------------------------------------------


@pytest.fixture
def shop(app: DistQ, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """An application that has the service below a prefix, and routes of its own."""
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    monkeypatch.delenv("DISTQ_READ_TOKEN", raising=False)
    shop = FastAPI()

    @shop.get("/")
    def home() -> str:  # pyright: ignore[reportUnusedFunction]
        return "shop"

    @shop.get("/queue/own")
    def own() -> str:  # pyright: ignore[reportUnusedFunction]
        raise ValueError("its own")

    shop.include_router(distq.service.router(app), prefix="/queue")
    return shop


def test_it_works_below_a_prefix_of_somebodys_application(shop: FastAPI, storage: Storage) -> None:
    with visiting(shop) as visit:
        answer = visit.post("/queue/api/jobs", {"task": "shop.send", "args": ["a"]})
        assert answer.status_code == 201
        assert state(storage, answer.json()["id"]) is JobState.READY
        assert visit.value("/queue/health") == {"status": "ok"}
        assert visit.value("/queue/api/openapi.json")["servers"] == [{"url": "/queue"}]
        assert "/queue/static/" in visit.get("/queue/").text


def test_an_application_of_somebodys_stays_as_it_is(shop: FastAPI) -> None:
    with visiting(shop) as visit:
        response = visit.get("/")
        assert response.text == '"shop"'
        assert "content-security-policy" not in response.headers
        assert visit.get("/nix").json() == {"detail": "Not Found"}
        assert visit.get("/queue/own").text == "Internal Server Error"
        assert list(visit.value("/openapi.json")["paths"]) == ["/", "/queue/own"]


def test_below_a_mounted_application_it_finds_itself(app: DistQ, shop: FastAPI) -> None:
    outer = FastAPI()
    outer.mount("/shops", shop)
    with visiting(outer) as visit:
        assert visit.value("/shops/queue/api/openapi.json")["servers"] == [{"url": "/shops/queue"}]


def test_two_services_in_one_application_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    both = FastAPI()
    for name in ("a", "b"):
        storage = MemoryStorage()
        add(storage, queue=f"of-{name}")
        both.include_router(distq.service.router(app_on(storage)), prefix=f"/{name}")
    with visiting(both) as visit:
        for name in ("a", "b"):
            assert [queue["name"] for queue in visit.value(f"/{name}/api/queues")["queues"]] == [f"of-{name}"]
            assert visit.value(f"/{name}/api/openapi.json")["servers"] == [{"url": f"/{name}"}]


def test_it_follows_an_application_that_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    app = app_on(MemoryStorage())
    shop = FastAPI()
    shop.include_router(distq.service.router(app), prefix="/queue")
    app.move(MemoryStorage())
    with visiting(shop) as visit:
        job_id = visit.post("/queue/api/jobs", {"task": "shop.any"}).json()["id"]
        assert state(app.storage, job_id) is JobState.READY


def test_jobs_of_an_application_under_test_run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    app = app_on(MemoryStorage())
    with app.inline(), visiting(service_on(app.storage, app=app)) as visit:
        job_id = visit.post("/api/jobs", {"task": "shop.send", "args": ["a", 2]}).json()["id"]
        assert visit.value(f"/api/jobs/{job_id}/result")["result"] == "aa"


def test_the_service_may_end_and_begin_again(storage: Storage, app: DistQ) -> None:
    service = service_on(storage, app=app)
    for _ in range(2):
        with visiting(service) as visit:
            add(storage)
            assert visit.value("/api/queues")["queues"][0]["name"] == QUEUE


def test_a_plain_import_needs_no_web_library() -> None:
    code = "import distq, distq.service, sys; print({'fastapi', 'starlette', 'httpx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "set()"


def test_where_the_extra_is_missing_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("distq.service.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'distq\[service\]'"):
        distq.service.router(app_on(MemoryStorage()))


def test_what_is_no_application_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="queue='nonsense': use the DistQ of your application"):
        distq.service.router("nonsense")  # pyright: ignore[reportArgumentType]


# -- what nobody expected --------------------------------------------------------------------------------


def test_a_fault_is_told_to_the_log_and_not_to_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    app = app_on(MemoryStorage())

    @app.around_enqueue
    def broken(call: Any) -> Iterator[None]:
        raise ZeroDivisionError("secret of the application")
        yield

    with visiting(service_on(app.storage, app=app)) as visit:
        found = problem(visit.post("/api/jobs", {"task": "shop.any"}), 500, "internal")
        assert "secret" not in json.dumps(found)
    assert "ZeroDivisionError: secret of the application" in caplog.text


def test_a_look_that_fails_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    add(storage)
    with visiting(service_on(storage)) as visit:
        with monkeypatch.context() as patch:
            patch.setattr(storage, "workers", lambda within: 1 / 0)
            problem(visit.get("/api/queues"), 500, "internal")
        eventually(lambda: visit.get("/api/queues").status_code == 200)
