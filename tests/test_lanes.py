"""What runs jobs goes on, whatever a job holds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from distq import DistQ
from distq.ids import new_ids
from distq.job import NewJob, Outcome, OutcomeKind
from distq.worker.holdings import Holdings
from distq.worker.lanes import Context, ThreadLane
from distq.worker.running import Running
from distq.worker.slots import Slots


@pytest.fixture
def slots() -> Iterator[Slots]:
    slots = Slots(descriptor := Slots.allocate(1), 1)
    os.close(descriptor)
    yield slots
    slots.close()


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"", OutcomeKind.DEAD),
        (b"no line of headers", OutcomeKind.DEAD),
        (b"no JSON\n{}", OutcomeKind.DONE),
        (b"[1]\n{}", OutcomeKind.DONE),
        (b"\xff\xfe\n{}", OutcomeKind.DONE),
        (b'{"timeout":"soon","hard_timeout":[]}\n{}', OutcomeKind.DONE),
        (b'{"retries":"many"}\n{"fail":true}', OutcomeKind.RETRY),
        (b'{"retries":0}\n{"fail":true}', OutcomeKind.DEAD),
        (b'{"retries":0}\n{"fail":', OutcomeKind.DEAD),
    ],
)
def test_a_payload_that_distq_did_not_write_ends_its_own_job(
    slots: Slots, payload: bytes, kind: OutcomeKind
) -> None:
    app, ended = DistQ("memory://"), list[Outcome]()

    @app.task(name="t", retries=1)
    def t(fail: bool = False) -> None:
        if fail:
            raise ValueError("it says so")

    good, bad = new_ids("default", 2)
    jobs = [NewJob(bad, "default", "t", payload), NewJob(good, "default", "t", b"{}\n{}")]
    app.storage.run(app.storage.enqueue(jobs))
    holdings = Holdings(app.storage, "w", 60)
    lane = ThreadLane(
        Context(app, Running(slots, hard_cancel=False), holdings, lambda outcome, *_: ended.append(outcome))
    )
    lane.feed(holdings.lease("default", 2))
    lane.finish(1)
    lane.serve()
    assert {outcome.id: outcome.kind for outcome in ended} == {bad: kind, good: OutcomeKind.DONE}
