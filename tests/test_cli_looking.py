"""Commands that look: show, why, list, counts and doctor."""

from __future__ import annotations

import json
from collections.abc import Callable

from distq.job import OutcomeKind
from distq.storage import Storage
from tests.command_line import environment as environment
from tests.command_line import module as module
from tests.command_line import new_id
from tests.command_line import schema_url as schema_url
from tests.command_line import storage as storage
from tests.command_line import url as url
from tests.commands import distq
from tests.contract.steps import add, settle, take

# -- looking ---------------------------------------------------------------------------------------------


def test_show_tells_all(url: str, storage: Storage) -> None:
    (job_id,) = add(storage, payload=b'{"retries":5}\n{"to":"\\u001b[31m"}', priority=3)
    trace = b'{"type":"E","message":"\\u001b[31mboom\\nred","traceback":"Traceback:\\n  line 1\\n"}'
    settle(storage, take(storage, worker="w1"), OutcomeKind.DEAD, body=trace)
    done = distq("show", job_id)
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    lines = [line.strip() for line in done.out.splitlines()]
    assert lines[0] == job_id
    for line in ("state      dead", "priority   3", 'headers    {"retries":5}', "worker     w1", "line 1"):
        assert line in lines
    assert sum(r"dead on w1: E: \x1b[31mboom" in line for line in lines) == 1
    (seen,) = distq("show", job_id, "--json").value
    assert (seen["state"], seen["error"]["message"]) == ("dead", "\x1b[31mboom\nred")
    assert seen["enqueued_at"].endswith("Z")


def test_show_lists_all_attempts_and_in_words_a_done_one_once(url: str, storage: Storage) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage, worker="w1"), OutcomeKind.RETRY, body=b'{"type":"E","message":"boom"}')
    settle(storage, take(storage, worker="w2"), OutcomeKind.DONE, body=b"7")
    (seen,) = distq("show", job_id, "--json").value
    assert [(attempt["kind"], attempt["worker"]) for attempt in seen["attempts"]] == [
        ("retry", "w1"),
        ("done", "w2"),
    ]
    assert seen["tries"] == 2
    assert distq("show", job_id).out.count("done on w2") == 1


def test_jobs_that_are_not_known_are_named_after_the_others(url: str, storage: Storage) -> None:
    (job_id,) = add(storage)
    unknown = new_id()
    for command in ("show", "why"):
        done = distq(command, job_id, unknown, "--json")
        assert done.status == 1
        assert [job["id"] for job in json.loads(done.out)] == [job_id]
        done.complained(unknown, "is not known")
    for command in ("show", "why", "cancel", "replay"):
        for wrong in ("no id", ""):
            distq(command, wrong).refused(1, f"job {wrong!r} is no job id; one looks like mail:")


def test_why_gives_the_answer_and_what_helps(url: str, storage: Storage) -> None:
    (job_id,) = add(storage)
    assert distq("why", job_id).out.splitlines() == [
        f"{job_id}: no live worker serves queue mail",
        "  distq worker MODULE:APP --queues mail",
    ]
    assert distq("why", job_id, "--json").value == [
        {
            "id": job_id,
            "state": "ready",
            "answer": "no live worker serves queue mail",
            "remedy": "distq worker MODULE:APP --queues mail",
        }
    ]


def test_list_filters_and_is_bounded(url: str, storage: Storage) -> None:
    first, second = add(storage, 2)
    settle(storage, take(storage, 1), OutcomeKind.DEAD, body=b'{"type":"E","message":"boom"}')
    add(storage, queue="bulk", delay=60)

    def ids(*arguments: str) -> list[str]:
        return [job["id"] for job in distq("list", *arguments, "--json").value]

    assert len(ids()) == 3
    assert ids("mail") == [second, first]
    assert ids("--state", "dead") == ids("mail", "--text", "boom") == [first]
    assert ids("mail", "--state", "ready", "--state", "dead") == [second, first]
    assert ids("mail", "--task", "other") == ids("--older", "1h") == []
    head, line, more = distq("list", "mail", "--limit", "1").out.splitlines()
    assert head.split() == ["ID", "TASK", "STATE", "SINCE", "TRIES", "ERROR"]
    assert line.split()[:3] == [second, "app.task", "ready"]
    assert "more than 1" in more
    assert distq("list", "mail", "--task", "other").out == "no such jobs\n"


def test_counts_of_some_queues_and_of_all(url: str, storage: Storage) -> None:
    assert distq("counts").out == "there are no queues yet\n"
    add(storage, 2)
    add(storage, 1, queue="bulk", delay=60)
    distq("pause", "bulk")
    head, *rows = (line.split() for line in distq("counts").out.splitlines())
    assert head == ["QUEUE", "SCHEDULED", "READY", "LEASED", "DONE", "DEAD", "CANCELLED", "WORKERS"]
    assert sorted(rows) == [
        ["bulk", "1", "0", "0", "0", "0", "0", "0", "paused"],
        ["mail", "0", "2", "0", "0", "0", "0", "0"],
    ]
    (mail,) = distq("counts", "mail", "--json").value
    assert (mail["name"], mail["paused"], mail["counts"]["ready"], mail["workers"]) == ("mail", False, 2, [])


# -- doctor ----------------------------------------------------------------------------------------------


def test_doctor_ends_with_1_where_there_is_a_problem(
    url: str, storage: Storage, module: Callable[[str], str]
) -> None:
    healthy = distq("doctor")
    assert healthy.status == 0
    assert all(line.startswith("ok ") for line in healthy.out.splitlines())
    add(storage)
    done = distq("doctor", "--app", f"{module(url)}:app")
    assert (done.status, done.err) == (1, "")
    assert "problem  queue mail: no live worker serves it, and 1 job could run" in done.out
    assert "application: no live worker serves its queues mail" in done.out
    findings = json.loads(distq("doctor", "--json").out)
    (found,) = [finding for finding in findings if finding["severity"] == "problem"]
    assert set(found) == {"severity", "what", "why", "remedy", "kind", "queue"}
    assert (found["kind"], found["queue"]) == ("unserved", "mail")
    assert {len(finding) for finding in findings if finding["severity"] == "ok"} == {2}


def test_doctor_of_a_storage_that_is_not_migrated(schema_url: str) -> None:
    done = distq("doctor", "--url", schema_url)
    assert (done.status, done.err) == (1, "")
    assert "mend: distq migrate" in done.out


def test_doctor_of_memory() -> None:
    done = distq("doctor", "--url", "memory://")
    assert done.status == 0
    assert "gone with it" in done.out
