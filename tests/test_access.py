"""Who may do what with the service: tokens, roles, and this machine, which needs none."""

from __future__ import annotations

import hmac
import re

import pytest

from distq import ConfigurationError
from distq.memory.storage import MemoryStorage
from distq.service import access as module
from distq.service.access import Access, Role, is_loopback
from distq.service.routing import LARGEST_BODY
from distq.storage import Storage
from tests.contract.steps import QUEUE
from tests.services import OPERATE, READ, TOKENS, Visitor, app_on, service_on, visiting
from tests.visitors import ELSEWHERE, SECRETS, WRITE, bearer, carry, is_paused, status
from tests.visitors import local as local
from tests.visitors import storage as storage
from tests.visitors import stranger as stranger

# -- tokens ----------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_shown_or_done(stranger: Visitor, storage: Storage) -> None:
    for path in ("/api/queues", "/api/jobs", "/api/workers", "/api/dead", "/api/tasks", "/metrics"):
        response = stranger.get(path)
        assert status(response) == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.json()["type"] == "urn:distq:problem:unauthorized"
    assert status(stranger.post(WRITE)) == 401
    assert not is_paused(storage)


def test_who_is_not_known_gets_nothing_read(stranger: Visitor) -> None:
    for content in (b"{", b"x" * LARGEST_BODY * 2):
        headers = {"content-type": "application/json"}
        assert status(stranger.post("/api/jobs", content=content, headers=headers)) == 401


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {OPERATE}x",
        f"Bearer {OPERATE[:-1]}",
        "Bearer",
        "Bearer ",
        "",
        f"Basic {OPERATE}",
        OPERATE,
        f"Bearer {OPERATE} {OPERATE}",
        "Bearer ümläut-0123456789",
    ],
)
def test_what_is_no_token(stranger: Visitor, header: str) -> None:
    assert status(stranger.get("/api/queues", headers={b"authorization": header.encode("latin-1")})) == 401


def test_a_token_lets_in_from_anywhere(stranger: Visitor) -> None:
    assert status(stranger.get("/api/queues", headers=bearer(READ))) == 200
    assert status(stranger.get("/api/queues", headers={"authorization": f"bearer {OPERATE}"})) == 200


def test_a_token_in_an_address_is_none(stranger: Visitor) -> None:
    for name in ("token", "access_token", "authorization"):
        assert status(stranger.get("/api/tasks", params={name: OPERATE})) == 401
    assert status(stranger.get(f"http://{OPERATE}@distq.example/api/tasks")) == 401
    assert status(stranger.get(f"http://x:{OPERATE}@distq.example/api/tasks")) == 401


def test_where_a_token_is_set_this_machine_needs_it_too(storage: Storage) -> None:
    with visiting(service_on(storage, tokens=TOKENS)) as visit:
        assert status(visit.get("/api/queues")) == 401
        assert status(visit.post(WRITE)) == 401


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    plain = hmac.compare_digest

    def compare(given: bytes, known: bytes) -> bool:
        compared.append((given, known))
        return plain(given, known)

    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    for token in (OPERATE, READ, "wrong"):
        compared.clear()
        Access(TOKENS).role_of_token(token)
        # All of them, whichever fits.
        assert [known for _, known in compared] == [OPERATE.encode(), READ.encode()]


@pytest.mark.parametrize(
    ("operate", "read", "words"),
    [
        ("a token of words", "", "DISTQ_TOKEN is no token"),
        ("", " ", "DISTQ_READ_TOKEN is no token"),
        ("ü" * 20, "", "DISTQ_TOKEN is no token"),
        ("a" * 20 + "\n", "", "DISTQ_TOKEN is no token"),
        (OPERATE, OPERATE, "the same"),
    ],
)
def test_what_can_be_no_token(monkeypatch: pytest.MonkeyPatch, operate: str, read: str, words: str) -> None:
    monkeypatch.setenv("DISTQ_TOKEN", operate)
    monkeypatch.setenv("DISTQ_READ_TOKEN", read)
    with pytest.raises(ConfigurationError, match=words) as caught:
        Access.of_environment()
    assert operate not in str(caught.value) or operate == ""


def test_a_short_token_is_taken_and_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DISTQ_TOKEN", "tell-no-one")
    assert Access.of_environment().tokens == {Role.OPERATE: "tell-no-one"}
    assert caplog.messages == ["DISTQ_TOKEN is short: it may be guessed"]


# -- roles -----------------------------------------------------------------------------------------------


def writes() -> list[tuple[str, str]]:
    """All routes of the API that change something."""
    storage = MemoryStorage()
    with visiting(service_on(storage, app=app_on(storage))) as visit:
        document = visit.value("/api/openapi.json")
    return [
        (method.upper(), re.sub(r"\{\w+\}", "mail", path))
        for path, methods in document["paths"].items()
        for method in methods
        if method != "get"
    ]


def test_who_may_read_may_not_write(stranger: Visitor, storage: Storage) -> None:
    assert len(writes()) >= 11
    for method, path in writes():
        response = stranger(method, path, json={}, headers=bearer(READ))
        assert (status(response), response.json()["type"]) == (403, "urn:distq:problem:forbidden"), path
    assert storage.run(storage.queues()) == {}


def test_who_may_operate_may_write(stranger: Visitor, storage: Storage) -> None:
    assert status(stranger.post(WRITE, headers=bearer(OPERATE))) == 200
    assert is_paused(storage)


def test_what_jobs_carry_is_hidden_from_who_may_read(stranger: Visitor, storage: Storage) -> None:
    ids = carry(storage)
    paths = ["/api/jobs", "/api/dead", "/api/queues", "/api/workers", "/api/troubles", "/metrics"]
    for path in [*paths, *(f"/api/jobs/{job_id}" for job_id in ids)]:
        response = stranger.get(path, headers=bearer(READ))
        assert status(response) == 200
        assert not [secret for secret in SECRETS if secret in response.text], path
    jobs = [stranger.get(f"/api/jobs/{job_id}", headers=bearer(READ)).json() for job_id in ids]
    assert all(job["redacted"] for job in jobs)
    assert [job["state"] for job in jobs] == ["done", "dead", "scheduled", "leased", "ready"]
    assert [job["arguments"] for job in jobs] == [None] * 5
    assert jobs[4]["headers"] == {"user": None}
    assert jobs[1]["error"] == {"type": "ValueError", "message": "", "traceback": ""}
    assert jobs[3]["progress"] == {"fraction": 0.5, "message": ""}
    assert jobs[2]["attempts"][0]["error"]["type"] == "ValueError"


def test_what_jobs_carry_is_shown_to_who_may_operate(stranger: Visitor, storage: Storage) -> None:
    shown = "".join(
        stranger.get(f"/api/jobs/{job_id}{what}", headers=bearer(OPERATE)).text
        for job_id in carry(storage)
        for what in ("", "/result")
    )
    assert [secret for secret in SECRETS if secret not in shown] == []


def test_who_may_read_cannot_guess_what_is_hidden(stranger: Visitor, storage: Storage) -> None:
    ids = carry(storage)
    for path in (
        "/api/jobs?text=secret",
        "/api/jobs?key=x&text=secret",
        f"/api/queues/{QUEUE}/matching?text=secret",
        f"/api/jobs/{ids[0]}/result",
    ):
        assert status(stranger.get(path, headers=bearer(READ))) == 403, path


# -- this machine ----------------------------------------------------------------------------------------


def test_without_tokens_this_machine_may_do_all(local: Visitor, storage: Storage) -> None:
    assert status(local.get("/api/queues")) == 200
    assert status(local.post(WRITE)) == 200
    assert is_paused(storage)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "localhost:80", "a.localhost"])
def test_names_that_only_this_machine_has(storage: Storage, host: str) -> None:
    with visiting(service_on(storage), host=host) as visit:
        assert status(visit.get("/api/queues")) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.1.5"]
)
def test_a_name_that_somebody_elses_dns_leads_here_is_refused(storage: Storage, host: str) -> None:
    with visiting(service_on(storage), host=host) as visit:
        for response in (visit.get("/api/queues"), visit.post(WRITE), visit.get("/metrics")):
            assert status(response) == 401
    assert not is_paused(storage)


@pytest.mark.parametrize(("client", "host"), [("testclient", "testserver"), ("127.0.0.1", "test")])
def test_a_users_own_tests_are_of_this_machine(storage: Storage, client: str, host: str) -> None:
    with visiting(service_on(storage), client=client, host=host) as visit:
        assert status(visit.get("/api/queues")) == 200
        assert status(visit.post(WRITE)) == 200
    with visiting(service_on(storage), client=ELSEWHERE, host=host) as visit:
        assert status(visit.get("/api/queues")) == 401


def test_where_no_token_is_set_one_that_is_sent_is_nothing(local: Visitor, storage: Storage) -> None:
    assert status(local.get("/api/queues", headers=bearer("made-up"))) == 200
    assert status(local.post(WRITE, headers={**bearer("made-up"), "origin": "http://evil.example"})) == 403
    with visiting(service_on(storage), client=ELSEWHERE) as visit:
        assert status(visit.get("/api/queues", headers=bearer("made-up"))) == 401


@pytest.mark.parametrize("host", ["", "a@localhost", "localhost/x", "localhost@evil.example", "]["])
def test_odd_names_are_refused(local: Visitor, host: str) -> None:
    assert status(local.get("/api/queues", headers={"host": host})) == 401


def test_without_tokens_other_machines_are_refused(storage: Storage) -> None:
    with visiting(service_on(storage), client=ELSEWHERE) as visit:
        assert status(visit.get("/api/queues")) == 401


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_who_comes_through_a_proxy_of_this_machine_is_not_of_it(local: Visitor, header: str) -> None:
    assert status(local.get("/api/queues", headers={header: "127.0.0.1"})) == 401


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *[("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True)],
        *[("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.1", False), ("example.com", False)],
        *[("localhost.example.com", False), ("notlocalhost", False), ("2130706433", False)],
    ],
)
def test_what_is_this_machines_own(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
