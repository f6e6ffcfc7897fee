"""Jobs by the JSON API: one, lists of them, and many at once."""

from __future__ import annotations

from typing import Any

import pytest

from distq.ids import EXAMPLE
from distq.job import Filter, JobState, OutcomeKind
from distq.messages import RemoteError, encode_error
from distq.storage import Storage
from tests.api import ERROR, counts, end, problem
from tests.api import app as app
from tests.api import light as light
from tests.api import storage as storage
from tests.api import visit as visit
from tests.contract.steps import QUEUE, add, keyed, record, settle, take
from tests.services import Visitor

# -- one job ---------------------------------------------------------------------------------------------


def test_a_job_tells_all_that_is_known_of_it(visit: Visitor, storage: Storage) -> None:
    (job_id,) = end(storage, OutcomeKind.DEAD)
    job = visit.value(f"/api/jobs/{job_id}")
    assert (job["id"], job["state"], job["queue"], job["redacted"]) == (job_id, "dead", QUEUE, False)
    assert (job["arguments"], job["error"]["type"]) == ({}, "ValueError")
    assert [event["what"] for event in job["timeline"]] == ["enqueued", "dead"]
    assert job["why"]["answer"].startswith("it is dead: ")
    assert job["why"]["remedy"] == f"distq replay {job_id}"


def test_all_attempts_of_a_job_are_listed(visit: Visitor, storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.RETRY, body=ERROR)
    settle(storage, take(storage, worker="w2"), OutcomeKind.DONE, body=b"7")
    job = visit.value(f"/api/jobs/{job_id}")
    assert [(attempt["kind"], attempt["worker"]) for attempt in job["attempts"]] == [
        ("retry", "w1"),
        ("done", "w2"),
    ]
    assert job["tries"] == 2
    (_, event, end) = job["timeline"]
    assert (event["what"], end["what"], end["worker"]) == ("retry", "done", "w2")
    (listed,) = visit.value("/api/jobs")["jobs"]
    assert listed["attempts"] == job["attempts"]


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
    answers = visit.begin("GET", f"/api/jobs/{job_id}/result", params={"wait": 9})
    settle(storage, leases, OutcomeKind.DONE, body=b'{"sum": 3}')
    assert answers.result(10).json() == {"id": job_id, "state": "done", "result": {"sum": 3}, "error": None}
    (dead,) = end(storage, OutcomeKind.DEAD)
    assert visit.value(f"/api/jobs/{dead}/result")["error"]["type"] == "ValueError"
    assert visit.get(f"/api/jobs/{job_id}/result", params={"wait": 9.5}).status_code == 422


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
        {"after": "x" * 1001},
        {"after": "ü"},
        {"order": "random"},
        {"text": ""},
        {"task": "\0"},
        {"text": "a\0b"},
    ],
)
def test_what_no_list_is_asked_by(light: Visitor, query: dict[str, Any]) -> None:
    problem(light.get("/api/jobs", params=query), 422, "invalid-request")


@pytest.mark.parametrize("after", ["0", "garbage", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_what_no_page_said_leads_to_none(light: Visitor, after: str) -> None:
    problem(light.get("/api/jobs", params={"after": after}), 404, "not-found", "leads to no page")


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
