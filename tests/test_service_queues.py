"""Queues, workers, schedules, tasks and dead letters by the JSON API."""

from __future__ import annotations

import pytest

from distq.admin.crew import Activity, Vitals
from distq.ids import EXAMPLE
from distq.job import OutcomeKind, Presence
from distq.storage import Storage
from tests.api import app as app
from tests.api import end, problem
from tests.api import light as light
from tests.api import storage as storage
from tests.api import visit as visit
from tests.contract.steps import QUEUE, add
from tests.services import Visitor


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
