"""What a machine asks the service, probes and metrics, and what it says when something is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from distq.admin.crew import Activity, Vitals
from distq.connect import connect
from distq.ids import EXAMPLE
from distq.job import OutcomeKind, Presence
from distq.memory.storage import MemoryStorage
from distq.storage import Storage
from tests.api import end, problem
from tests.api import storage as storage
from tests.contract.steps import QUEUE, add, take
from tests.helpers import eventually
from tests.services import READ, TOKENS, app_on, service_on, visiting
from tests.world import url_of

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
