"""Enqueuing by the JSON API: options, keys, idempotency, batches, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from distq.job import JobState, OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.storage import Storage
from tests.api import ERROR, counts, problem
from tests.api import app as app
from tests.api import light as light
from tests.api import storage as storage
from tests.api import visit as visit
from tests.contract.steps import QUEUE, record, settle, take
from tests.services import Visitor, service_on, visiting


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
        ({"task": "shop.any", "args": [], "more": 1}, "invalid-request", ["more: is not known"]),
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
        ({"args": []}, "invalid-request", ["task: is missing"]),
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


@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/batch"])
def test_without_an_application_nothing_can_be_enqueued(path: str) -> None:
    with visiting(service_on(MemoryStorage())) as visit:
        for body in ({"task": "a"}, None):
            refused = visit.post(path, body)
            problem(refused, 405, "invalid-request", "--app")
            assert refused.headers["allow"] == "GET"
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
