"""Who did what with the service, who came in and who was refused: the audit."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerHour

from distq import ConfigurationError, StorageUnavailable
from distq.ids import EXAMPLE
from distq.job import JobState
from distq.service import access, core
from distq.service.access import Role
from distq.service.audit import Audit
from distq.service.errors import AuditFailed
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, state
from tests.services import OPERATE, READ, TOKENS, app_on, service_on, visiting
from tests.visitors import ELSEWHERE, WRITE, bearer
from tests.visitors import storage as storage


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_who_did_what_is_written_before_and_after(storage: Storage, tmp_path: Path) -> None:
    (job_id,) = add(storage)
    file = tmp_path / "audit"
    service = service_on(storage, app=app_on(storage), tokens=TOKENS, audit=Audit(file))
    with visiting(service, token=OPERATE, client=ELSEWHERE) as visit:
        visit.post(f"/api/jobs/{job_id}/cancel")
        visit.post(f"/api/jobs/{EXAMPLE}/replay")
        visit.post(f"/api/queues/{QUEUE}/replay", {"states": ["cancelled"], "text": "Cancelled"})
        visit.post("/api/jobs", {"task": "shop.send", "args": ["secret-argument"]})
        visit.get("/api/queues")
    asked, ended, *rest = lines(file)
    assert (asked["stage"], asked["who"], asked["what"]) == ("asked", f"operate@{ELSEWHERE}", "cancel")
    assert asked["about"] == {"id": job_id}
    assert (ended["stage"], ended["entry"], ended["outcome"]) == ("ended", asked["entry"], "cancelled")
    assert rest[1]["outcome"].startswith("failed: JobNotFound")
    assert rest[2]["about"] == {"queue": QUEUE, "states": ["cancelled"], "text": "Cancelled"}
    assert rest[3]["outcome"] == "1 replayed, 0 refused"
    assert rest[4]["about"] == {"task": "shop.send"}
    assert len(rest) == 6
    assert "secret-argument" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.what for entry in service.audit.latest] == ["enqueue", "replay", "replay", "cancel"]


@pytest.fixture
def broken(tmp_path: Path) -> Audit:
    """An audit whose file nobody takes lines from any more."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    audit = Audit(path)
    os.close(reader)
    return audit


def test_what_cannot_be_audited_is_not_done(storage: Storage, broken: Audit) -> None:
    (job_id,) = add(storage)
    with visiting(service_on(storage, app=app_on(storage), audit=broken)) as visit:
        for path, body in (
            (WRITE, None),
            (f"/api/jobs/{job_id}/cancel", None),
            (f"/api/queues/{QUEUE}/purge", {"states": ["ready"]}),
            ("/api/jobs", {"task": "shop.any"}),
            ("/api/jobs/batch", {"task": "shop.any", "calls": [{}]}),
            ("/api/schedules/reports/shop.report/pause", None),
        ):
            response = visit.post(path, body)
            assert (response.status_code, response.json()["type"]) == (
                503,
                "urn:distq:problem:audit-unavailable",
            )
        assert visit.get("/api/queues").status_code == 200
    assert storage.run(storage.queues()) == {QUEUE: False}
    assert state(storage, job_id) is JobState.READY


def test_what_was_done_stays_done_where_its_end_cannot_be_audited(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    service = service_on(storage, audit=Audit(path))
    plain = storage.pause

    def pause(queue: str, *, paused: bool) -> Any:
        os.close(reader)
        return plain(queue, paused=paused)

    storage.pause = pause
    with visiting(service) as visit:
        assert visit.post(WRITE).status_code == 200
    assert storage.run(storage.queues())[QUEUE]
    assert "the audit log cannot be written" in caplog.text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncio.CancelledError(), "cut off by the end of the service; it may be done, or a part of it"),
        (StorageUnavailable("here", "no answer within 5 s"), "5 s; it may be done, or a part of it"),
        (ConfigurationError("it is none"), "failed: ConfigurationError: it is none"),
    ],
)
def test_what_ended_early_is_not_said_to_be_undone(error: BaseException, said: str) -> None:
    audit = Audit()
    with pytest.raises(type(error)), audit.noting(access.Visitor(Role.OPERATE, "operate@here"), "purge"):
        raise error
    assert audit.latest[0].outcome.endswith(said)


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit, whole = Audit(tmp_path / "audit"), os.write
    visitor = access.Visitor(Role.OPERATE, "operate@here")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: whole(file, line[:7]))
        with pytest.raises(AuditFailed), audit.noting(visitor, "pause"):
            raise AssertionError("it is not done")
    with audit.noting(visitor, "resume"):
        pass
    cut, *others = (tmp_path / "audit").read_text().splitlines()
    assert len(cut) == 7
    assert [json.loads(line)["what"] for line in others] == ["resume", "resume"]


def test_who_came_in_and_who_was_refused_is_written(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "REFUSALS", RateLimitItemPerHour(100))
    file = tmp_path / "audit"
    service = service_on(storage, tokens=TOKENS, audit=Audit(file))
    tries = [(WRITE, bearer("wrong" * 5)), (WRITE, bearer(READ)), ("/login", {})]
    with visiting(service, client=ELSEWHERE) as visit:
        for path, headers in tries:
            visit.post(path, {"token": "wrong"}, headers=headers)
        # Who only asks for what needs a token has tried nothing.
        assert visit.get("/api/queues").status_code == 401
        visit("POST", "/login", data={"token": OPERATE})
    noted = [(line["who"], line["what"], line.get("about", {}).get("asked", "")) for line in lines(file)]
    assert noted == [
        (f"nobody@{ELSEWHERE}", "refused", f"POST {WRITE}"),
        (f"read@{ELSEWHERE}", "refused", f"POST {WRITE}"),
        (f"nobody@{ELSEWHERE}", "refused", "POST /login"),
        (f"operate@{ELSEWHERE}", "log in", ""),
    ]
    assert OPERATE not in file.read_text()
    assert service.audit.latest == []


def test_who_guesses_tokens_does_not_fill_the_disk(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "REFUSALS", RateLimitItemPerHour(3))
    file = tmp_path / "audit"
    with visiting(service_on(storage, tokens=TOKENS, audit=Audit(file))) as visit:
        for number in range(9):
            assert visit.get("/api/queues", headers=bearer(f"guess-number-{number:04}")).status_code == 401
    assert len(lines(file)) == 3


def test_a_log_that_is_rotated_goes_on_in_a_new_file(tmp_path: Path) -> None:
    audit, file = Audit(tmp_path / "audit"), tmp_path / "audit"
    audit.note("operate@here", "log in", "done")
    file.rename(tmp_path / "audit.1")
    audit.note("read@here", "log in", "done")
    assert [line["who"] for line in lines(file)] == ["read@here"]


def test_an_audit_that_cannot_be_begun_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        Audit(tmp_path / "nowhere" / "audit")


def test_an_audit_is_a_record_of_the_log_in_which_nothing_moves_the_cursor(
    storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "distq")
    with visiting(service_on(storage)) as visit:
        visit.post(f"/api/queues/{QUEUE}/cancel", {"reason": "\x1b[2Jgone\nforged line", "task": "<script>"})
    (message,) = [line for line in caplog.messages if line.startswith("audit:")]
    assert "operate@127.0.0.1" in message
    assert "\x1b" not in message
    assert "\n" not in message
