"""What a worker process costs its storage while there is nothing to do, and what it finds all the same."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distq.ids import new_ids
from distq.job import JobState, NewJob
from distq.postgres.cursors import Statement
from distq.storage import Op
from tests import worker_app
from tests.counting import Counter
from tests.helpers import eventually
from tests.world import World, open_world

STORES = ["postgres", "redis"]
BUDGET, WATCHED = 2, 5.5
"""Requests a second, and for how many seconds they are counted: an announcement is among them."""


@pytest.fixture
def world(counted: Counter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """All of whose requests are counted."""
    with open_world(
        worker_app.app, "tests.worker_app", counted.url, tmp_path / "notes", monkeypatch
    ) as world:
        yield world


def test_an_idle_process_asks_twice_a_second_at_most(world: World, counted: Counter) -> None:
    world.start("--processes", "1")
    worker_app.add.enqueue(1, 2).result(timeout=20)
    world.app.close()
    began = pause(counted, 1.0)
    asked = pause(counted, WATCHED) - began
    # Less would mean that it does not look at all.
    assert WATCHED - 1 <= asked <= BUDGET * WATCHED


def pause(counted: Counter, seconds: float) -> int:
    """How many requests there were in all, so many seconds later."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until)
    return counted.requests


def test_an_idle_process_finds_what_no_hint_told_of(world: World, counted: Counter) -> None:
    storage = world.app.storage
    world.start("--processes", "1")
    worker_app.add.enqueue(1, 2).result(timeout=20)
    (job_id,) = new_ids("default", 1)
    pause(counted, 1.0)
    storage.run(unheard(storage.enqueue([NewJob(job_id, "default", "add", b'{}\n{"a":1,"b":2}')])))
    eventually(lambda: world.record(job_id)[0] is JobState.DONE, timeout=2)


def unheard(op: Op[Any]) -> Op[Any]:
    """The same, but that its hint goes elsewhere."""
    if isinstance(op.request, Statement):
        elsewhere: Any = op.request._replace(parameters={**op.request.parameters, "channel": "void"})
    else:
        elsewhere = [
            call._replace(keys=[re.sub(b":wake$", b":void", key) for key in call.keys]) for call in op.request
        ]
    return replace(op, request=elsewhere)
