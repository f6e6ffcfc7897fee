"""Commands that change something: pause, resume, cancel, replay, purge and prune; their questions."""

from __future__ import annotations

import io
import json

import pytest

from distq.job import OutcomeKind
from distq.storage import Storage
from tests.command_line import environment as environment
from tests.command_line import new_id
from tests.command_line import storage as storage
from tests.command_line import url as url
from tests.commands import distq
from tests.contract.steps import WHY, add, keyed, make, settle, take

# -- steering --------------------------------------------------------------------------------------------


def test_pause_and_resume(url: str, storage: Storage) -> None:
    add(storage)
    assert distq("pause", "mail", "bulk").out == "queue mail: paused\nqueue bulk: paused\n"
    assert take(storage) == []
    assert distq("resume", "mail", "--json").value == [{"queue": "mail", "schedule": None, "paused": False}]
    assert len(take(storage)) == 1


def test_pause_and_resume_a_schedule(url: str, storage: Storage) -> None:
    storage.run(storage.schedules("mail", ["nightly"]))
    said = distq("pause", "mail", "--schedule", "nightly").out
    assert said == "queue mail, schedule nightly: paused\n"
    assert [schedule.paused for schedule in storage.run(storage.schedules("mail", [])).schedules] == [True]
    distq("resume", "mail", "--schedule", "nightly")
    assert [schedule.paused for schedule in storage.run(storage.schedules("mail", [])).schedules] == [False]
    refused = distq("pause", "mail", "--schedule", "daily")
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "queue mail has no schedule 'daily'" in refused.err


def test_cancel_by_id(url: str, storage: Storage) -> None:
    running, waiting = add(storage, 2)
    take(storage, 1)
    done = distq("cancel", waiting, running, "--reason", "enough")
    assert done.out.splitlines() == [f"{waiting}: cancelled", f"{running}: asked to end"]
    assert distq("show", waiting, "--json").value[0]["error"]["message"] == "enough"
    again = distq("cancel", waiting, "--json")
    assert again.status == 1
    assert json.loads(again.out) == [{"id": waiting, "outcome": "left as it is: cancelled"}]
    unknown = distq("cancel", running, new_id())
    assert (unknown.status, unknown.out) == (1, f"{running}: asked to end\n")
    unknown.complained("is not known")


def test_cancel_by_filter(url: str, storage: Storage) -> None:
    add(storage, 3)
    take(storage, 1)
    assert distq("cancel", "--queue", "mail", "--task", "other").out == "0 cancelled, 0 asked to end\n"
    assert distq("cancel", "--queue", "mail", "--json").value == {"cancelled": 2, "asked": 1}


def test_replay_by_id_and_by_filter(url: str, storage: Storage) -> None:
    jobs = [keyed("k"), *make(3)]
    storage.run(storage.enqueue(jobs))
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    storage.run(storage.enqueue([keyed("k")]))
    assert distq("replay", jobs[1].id).out == f"{jobs[1].id}: ready again\n"
    refused = distq("replay", jobs[0].id)
    assert (refused.status, refused.out) == (1, f"{jobs[0].id}: left as it is: dead\n")
    assert distq("replay", "--queue", "mail", "--text", "nothing").out == "0 ready again\n"
    assert distq("replay", "--queue", "mail").out == (
        "2 ready again; 1 are not, as another job has their key\n"
    )


def test_purge_and_prune(url: str, storage: Storage) -> None:
    add(storage, 3)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    add(storage, 2)
    add(storage, delay=60)
    assert distq("purge", "mail").out == "3 forgotten\n"
    assert distq("purge", "mail", "--state", "dead", "--older", "1h", "--json").value == {"removed": 0}
    assert distq("prune", "--older", "7d").out == "queue mail: 0 forgotten\n"
    assert distq("prune", "mail", "--beyond", "1", "--json").value == {"mail": 2}
    assert [job["state"] for job in distq("list", "--json").value] == ["dead"]


# -- questions -------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A user who answers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("command", "question"),
    [
        ("cancel --queue mail", "Cancel 4 jobs of queue mail, scheduled or ready or leased?"),
        ("cancel --queue mail --task app.task --state ready", "Cancel 3 jobs of queue mail, ready?"),
        ("replay --queue mail", "Replay 1 job of queue mail, dead?"),
        ("purge mail", "Forget 4 jobs of queue mail, scheduled or ready?"),
        ("prune --beyond 0", "Forget 1 job of mail?"),
        ("prune --older 1h", "Forget 0 jobs of mail?"),
    ],
)
def test_what_destroys_asks_a_user_with_the_number(
    url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch, command: str, question: str
) -> None:
    add(storage)
    settle(storage, take(storage), OutcomeKind.DEAD, body=WHY)
    add(storage, 3)
    add(storage, delay=60)
    before = distq("list", "--json").value
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    done = distq(*command.split(), "--json")
    assert (done.status, question in done.err) == (1, True)
    assert distq("list", "--json").value == before
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert distq(*command.split(), "--json").status == 0
    monkeypatch.setattr("sys.stdin", Terminal())
    assert distq(*command.split(), "--yes", "--json").value is not None
