"""The span of a settle, and the metrics of what has ended."""

from __future__ import annotations

from typing import Any

import pytest
from logfire.testing import CaptureLogfire

from distq import DistQ
from distq.admin.monitor import Monitor
from distq.errors import StorageUnavailable
from distq.steps import run as take_steps
from distq.telemetry import figures, settling
from distq.testing import Clock
from tests.traces import SAID, Process, metrics, spans
from tests.traces import app as app
from tests.traces import clock as clock
from tests.traces import process as process
from tests.traces import told as told


def test_a_batch_of_many_leads_to_their_spans(
    app: DistQ, process: Process, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "LINKS", 3)
    task = app.task(name="t", retries=0)(lambda number: 1 // number)
    task.enqueue_many([(number,) for number in range(5)])
    process.work()
    (settle,) = spans(told, "settle")
    ran = [span["context"]["span_id"] for span in spans(told, "job")]
    assert [link["context"]["span_id"] for link in settle["links"]] == ran[:3]
    assert settle["parent"] is None
    said = settle["attributes"]
    assert (said["jobs"], said["done"], said["dead"], said["voids"]) == (5, 4, 1, 0)


def test_a_batch_of_one_says_all_of_its_job(app: DistQ, clock: Clock, told: CaptureLogfire) -> None:
    @app.task(name="fail", queue="mail", priority=3, retries=1, backoff=100.0, jitter=0)
    def fail() -> None:
        raise ValueError("always")

    fail.enqueue()
    process = Process(app, "mail")
    process.work()
    clock.now += 107
    app.storage.run(app.storage.tick("mail", limit=9, grace=0, outage=1e9, eager=True))
    process.work()
    first, second = (span["attributes"] for span in spans(told, "settle"))
    jobs = [span["attributes"] for span in spans(told, "job")]
    assert [[said[name] for name in SAID] for said in (first, second)] == [
        [said[name] for name in SAID] for said in jobs
    ]
    assert (first["attempt"], first["outcome"], second["attempt"], second["outcome"]) == (
        1,
        "retry",
        2,
        "dead",
    )
    assert second["wait"] == pytest.approx(7, abs=2)


def test_a_batch_of_many_says_what_they_have_in_common(
    app: DistQ, process: Process, told: CaptureLogfire
) -> None:
    divide = app.task(name="divide", retries=0)(lambda number: 1 // number)
    other = app.task(name="other")(lambda: None)
    divide.enqueue_many([(1,), (2,)])
    process.work()
    divide.enqueue_many([(0,), (1,)])
    process.work()
    divide.enqueue(1)
    other.enqueue()
    process.work()
    said = [span["attributes"] for span in spans(told, "settle")]
    same = {"queue": "default", "attempt": 1}
    assert [{name: each[name] for name in SAID if name in each} for each in said] == [
        {**same, "task": "divide", "outcome": "done"},
        {**same, "task": "divide"},
        {**same, "outcome": "done"},
    ]


def test_of_what_has_not_begun_a_batch_knows_the_queue(
    app: DistQ, process: Process, told: CaptureLogfire
) -> None:
    app.task(name="t")(lambda number: None).enqueue_many([(1,), (2,)])
    begun, other = process.holdings.lease("default", 1), process.holdings.lease("default", 1)
    process.run(begun)
    process.outbox.release(other)
    process.settle()
    (settle,) = spans(told, "settle")
    said = settle["attributes"]
    assert {name: said[name] for name in SAID if name in said} == {"queue": "default"}
    assert (said["jobs"], said["done"], said["release"]) == (2, 1, 1)


def test_a_batch_of_one_belongs_to_its_trace(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda: None).enqueue()
    process.work()
    (settle,), (job,) = spans(told, "settle"), spans(told, "job")
    assert settle["parent"]["span_id"] == job["context"]["span_id"]
    assert "links" not in settle


def test_a_batch_that_was_not_taken_is_told_again(
    app: DistQ, process: Process, told: CaptureLogfire, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.task(name="t")(lambda: None).enqueue()
    process.run()
    with monkeypatch.context() as patch:
        patch.setattr(app.storage, "run", _away)
        with pytest.raises(StorageUnavailable):
            process.settle()
    process.settle()
    failed, taken = spans(told, "settle")
    assert failed["parent"] == taken["parent"]
    assert failed["events"][0]["attributes"]["exception.type"].endswith("StorageUnavailable")
    assert (taken["attributes"]["voids"], "events" in taken) == (0, False)
    (ended,) = metrics(told)["distq.attempts.ended"]
    assert ended["value"] == 1


def _away(*_: Any) -> None:
    raise StorageUnavailable("memory", "it is away")


def test_a_lost_lease_is_a_void_and_is_counted(app: DistQ, process: Process, told: CaptureLogfire) -> None:
    task = app.task(name="t")(lambda number: None)
    task.enqueue_many([(1,), (2,)])
    process.run()
    taken = next(iter(process.holdings))
    app.storage.run(app.storage.forfeit("default", worker="w", begun=(), kept={taken.id}))
    process.settle()
    (settle,) = spans(told, "settle")
    assert settle["attributes"]["voids"] == 1
    found = metrics(told)
    (lost,), (ended,) = found["distq.leases.lost"], found["distq.attempts.ended"]
    assert (lost["value"], lost["attributes"]) == (1, {"queue": "default"})
    assert (ended["value"], ended["attributes"]["outcome"]) == (1, "done")


def test_of_very_many_all_are_counted_and_some_are_timed(
    app: DistQ, process: Process, told: CaptureLogfire
) -> None:
    app.task(name="t")(lambda number: None).enqueue_many([(number,) for number in range(100)])
    process.work()
    found = metrics(told)
    (ended,), (ran,) = found["distq.attempts.ended"], found["distq.job.run"]
    assert ended["value"] == 100
    assert figures.TIMED / 2 < ran["count"] <= figures.TIMED
    assert ran["attributes"] == {"queue": "default", "task": "t", "outcome": "done"}


def test_who_looks_at_the_queues_tells_how_deep_they_are(app: DistQ, told: CaptureLogfire) -> None:
    app.task(name="t")(lambda number: None).enqueue_many([(1,), (2,)])
    take_steps(app.storage, Monitor(app.storage).look())
    depth = {point["attributes"]["state"]: point["value"] for point in metrics(told)["distq.queue.depth"]}
    assert depth["ready"] == 2
    assert depth["leased"] == 0
