"""Who may do what with the service, and what nobody may."""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request, Response
from limits import RateLimitItemPerMinute

from distq import ConfigurationError
from distq.job import OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.messages import Progress, RemoteError, encode_error, encode_progress
from distq.service import access as module
from distq.service.access import COOKIE, Access, Role, is_loopback
from distq.service.application import create
from distq.service.routing import HEADERS, LARGEST_BODY
from distq.storage import Storage
from tests.contract.steps import QUEUE, add, make, settle, take
from tests.services import OPERATE, READ, TOKENS, Visitor, app_on, service_on, serving, visiting

ELSEWHERE = "203.0.113.9"
WRITE = f"/api/queues/{QUEUE}/pause"


@pytest.fixture
def storage() -> Storage:
    return MemoryStorage()


@pytest.fixture
def local(storage: Storage) -> Iterator[Visitor]:
    """Somebody on this machine, where no token is set."""
    with visiting(service_on(storage, app=app_on(storage))) as visit:
        yield visit


@pytest.fixture
def stranger(storage: Storage) -> Iterator[Visitor]:
    """Somebody elsewhere without a token, where tokens are set."""
    with visiting(service_on(storage, tokens=TOKENS), client=ELSEWHERE, host="distq.example") as visit:
        yield visit


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def status(response: httpx.Response) -> int:
    return response.status_code


def is_paused(storage: Storage) -> bool:
    return storage.run(storage.queues()).get(QUEUE, False)


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
        ("short", "", "DISTQ_TOKEN is no token"),
        ("", "short", "DISTQ_READ_TOKEN is no token"),
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


# -- roles -----------------------------------------------------------------------------------------------


def writes() -> list[tuple[str, str]]:
    """All routes of the API that change something."""
    with visiting(service_on(MemoryStorage())) as visit:
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


SECRETS = (
    "secret-argument",
    "secret-header",
    "secret-result",
    "secret-message",
    "secret-trace",
    "secret-step",
)


def carry(storage: Storage) -> list[str]:
    """Jobs that are ready, running, dead, done, and to be tried again: all of them carry secrets."""
    payload = b'{"user":"secret-header"}\n{"to":"secret-argument"}'
    error = encode_error(RemoteError("ValueError", "secret-message", "Traceback: secret-trace"))
    ids = add(storage, 4, payload=payload)
    done, dead, again, running = take(storage, 4)
    settle(storage, [done], OutcomeKind.DONE, body=b'"secret-result"')
    settle(storage, [dead], OutcomeKind.DEAD, body=error)
    settle(storage, [again], OutcomeKind.RETRY, body=error, delay=100)
    progress = {running.id: encode_progress(Progress(0.5, "secret-step"))}
    storage.run(storage.extend([running], ttl=60, progress=progress))
    return [*ids, *add(storage, 1, payload=payload)]


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


# -- writes that a browser was tricked into --------------------------------------------------------------


FORM = {"content-type": "application/x-www-form-urlencoded"}
ORIGIN = {"origin": "http://localhost"}


def test_a_json_write_of_a_program_needs_no_ticket(local: Visitor) -> None:
    assert status(local.post("/api/jobs", {"task": "shop.any"})) == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://localhost:3000"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
        {"origin": "http://localhost"},
        {"origin": "http://localhost", "x-csrf-token": "0" * 64},
        {"origin": "http://localhost", "x-csrf-token": ""},
        {"x-csrf-token": "x", **FORM},
        {"content-type": "text/plain"},
        {"content-type": "TEXT/PLAIN; charset=utf-8"},
        {"content-type": "multipart/form-data; boundary=x"},
        FORM,
    ],
)
def test_a_write_that_may_be_another_sites_is_refused(
    local: Visitor, storage: Storage, headers: dict[str, str]
) -> None:
    response = local.post(WRITE, headers=headers, content=b"")
    assert (status(response), response.json()["type"]) == (403, "urn:distq:problem:forbidden")
    assert not is_paused(storage)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_lead_here_and_no_more(local: Visitor, site: str) -> None:
    for path in ("/live/queues", "/api/dead", "/jobs?text=x", "/metrics"):
        fetched = local.get(path, headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
        assert status(fetched) == 403, path
    led = local.get("/", headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"})
    assert status(led) == 200
    assert status(local.get("/api/dead", headers={"sec-fetch-site": "same-origin"})) == 200


def ticket_of(access: Access, cookie: str = "") -> str:
    return access.visitor(request_of({"host": "localhost"} | ({"cookie": cookie} if cookie else {}))).ticket


def request_of(headers: dict[str, str], scheme: str = "http") -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "scheme": scheme, "path": "/", "query_string": b""}
    return Request({**scope, "headers": raw, "client": ("127.0.0.1", 1), "server": ("localhost", 80)})


def test_a_form_with_its_ticket_is_taken(storage: Storage) -> None:
    service = service_on(storage)
    ticket = ticket_of(service.access)
    with visiting(service) as visit:
        assert status(visit.post(WRITE, data={"csrf": "wrong"}, headers=ORIGIN)) == 403
        assert status(visit.post(WRITE, data={"csrf": ticket}, headers=ORIGIN)) == 200
        assert status(visit.post(WRITE, files={"csrf": (None, ticket)}, headers=ORIGIN)) == 200
        assert status(visit.post(WRITE, headers={**ORIGIN, "x-csrf-token": ticket})) == 200
        assert status(visit.post(WRITE, data={"csrf": ticket}, headers={"origin": "null"})) == 403
        assert status(visit.post(f"{WRITE}?csrf={ticket}", headers=ORIGIN)) == 403


def test_a_ticket_is_of_one_service_alone(storage: Storage) -> None:
    foreign = ticket_of(service_on(storage).access)
    with visiting(service_on(storage)) as visit:
        assert status(visit.post(WRITE, headers={**ORIGIN, "x-csrf-token": foreign})) == 403


def test_a_token_needs_no_ticket_for_no_browser_sends_it_by_itself(storage: Storage) -> None:
    with visiting(service_on(storage, tokens=TOKENS), token=OPERATE) as visit:
        assert status(visit.post(WRITE, headers={"origin": "http://elsewhere.example"})) == 200


# -- sessions --------------------------------------------------------------------------------------------


def session(access: Access, role: Role = Role.OPERATE, scheme: str = "http", **headers: str) -> SimpleCookie:
    response = Response()
    access.begin(role, request_of(headers, scheme), response, "/queue")
    return SimpleCookie(response.headers["set-cookie"])


def test_a_sessions_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    morsel = session(Access(TOKENS))[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "strict", "/queue")
    assert int(morsel["max-age"]) <= 12 * 3600
    assert not morsel["secure"]
    assert session(Access(TOKENS), scheme="https")[COOKIE]["secure"]
    assert session(Access(TOKENS), Role.OPERATE, "http", **{"x-forwarded-proto": "https"})[COOKIE]["secure"]
    assert OPERATE not in morsel.value


def visit_with(visit: Visitor, cookie: str, **headers: str) -> int:
    return status(visit.get("/api/queues", headers={"cookie": f"{COOKIE}={cookie}", **headers}))


def test_a_session_lets_in_until_it_ends(
    stranger: Visitor, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert visit_with(stranger, session(Access(TOKENS))[COOKIE].value) == 200
    monkeypatch.setattr(module, "SESSION", -1)
    assert visit_with(stranger, session(Access(TOKENS))[COOKIE].value) == 401


def test_a_session_ends_when_a_token_is_changed(stranger: Visitor) -> None:
    for changed in ({Role.OPERATE: OPERATE}, {Role.OPERATE: "another-0123456789", Role.READ: READ}):
        assert visit_with(stranger, session(Access(changed))[COOKIE].value) == 401


def test_a_sessions_role_is_that_of_its_token(stranger: Visitor, storage: Storage) -> None:
    cookie = session(Access(TOKENS), Role.READ)[COOKIE].value
    assert visit_with(stranger, cookie) == 200
    assert status(stranger.post(WRITE, headers={"cookie": f"{COOKIE}={cookie}"})) == 403
    assert not is_paused(storage)


def test_a_session_needs_a_ticket_of_its_own_in_a_browser(stranger: Visitor) -> None:
    first, second = (session(Access(TOKENS))[COOKIE].value for _ in range(2))
    headers = {"cookie": f"{COOKIE}={first}", "origin": "http://distq.example"}
    assert status(stranger.post(WRITE, headers=headers)) == 403
    foreign = ticket_of(Access(TOKENS), f"{COOKIE}={second}")
    assert status(stranger.post(WRITE, headers={**headers, "x-csrf-token": foreign})) == 403
    own = ticket_of(Access(TOKENS), f"{COOKIE}={first}")
    assert status(stranger.post(WRITE, headers={**headers, "x-csrf-token": own})) == 200


@pytest.mark.parametrize("kind", ["role", "until", "signature", "empty", "dots", "bytes"])
def test_a_forged_cookie_is_worth_nothing(stranger: Visitor, kind: str) -> None:
    role, until, mark, signature = session(Access(TOKENS), Role.READ)[COOKIE].value.split(".")
    forged = {
        "role": f"operate.{until}.{mark}.{signature}",
        "until": f"{role}.{int(until) + 10**6}.{mark}.{signature}",
        "signature": f"{role}.{until}.{mark}.{'0' * 64}",
        "empty": "",
        "dots": "....",
        "bytes": "\xff.\xff",
    }
    cookie = f"{COOKIE}={forged[kind]}".encode("latin-1")
    assert status(stranger.get("/api/queues", headers={b"cookie": cookie})) == 401


def test_who_may_read_cannot_sign_for_who_may_operate(storage: Storage) -> None:
    alone = {Role.READ: READ}
    forged = session(Access(alone), Role.OPERATE)[COOKIE].value
    with visiting(service_on(storage, tokens=alone), client=ELSEWHERE) as visit:
        assert visit_with(visit, session(Access(alone), Role.READ)[COOKIE].value) == 200
        assert visit_with(visit, forged) == 401


def test_a_wrong_token_is_not_made_up_for_by_a_session(stranger: Visitor) -> None:
    cookie = session(Access(TOKENS))[COOKIE].value
    assert visit_with(stranger, cookie, authorization="Bearer wrong") == 401


# -- what every answer says ------------------------------------------------------------------------------


def routes_of(routes: Any) -> Iterator[tuple[str, str]]:
    """Method and path of all routes, with something for their parameters."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes)
        elif hasattr(route, "methods"):
            for method in route.methods:
                yield method, re.sub(r"\{[\w:]+\}", "mail", route.path)


@pytest.mark.parametrize("token", ["", OPERATE, READ])
def test_every_answer_keeps_browsers_from_mischief(storage: Storage, token: str) -> None:
    carry(storage)
    service = service_on(storage, tokens=TOKENS)
    found = {
        *routes_of(create(service).routes),
        ("GET", "/nix"),
        ("DELETE", "/health"),
        ("GET", "/api/jobs/x"),
    }
    assert len(found) > 30
    with serving(service) as url, httpx.Client(base_url=url, headers=bearer(token) if token else {}) as http:
        for method, path in sorted(found):
            with http.stream(method, path) as response:
                check_headers(response, f"{method} {path}")


def check_headers(response: httpx.Response, where: str) -> None:
    said = response.headers
    for name in HEADERS.keys() - {"Cache-Control", "Content-Security-Policy"}:
        assert said.get(name) == HEADERS[name], (where, name)
    policy = said["content-security-policy"]
    assert "sandbox" in policy or ("default-src 'none'" in policy and "unsafe" not in policy), where
    assert "cache-control" in said, where
    assert response.status_code < 500, where


# -- bounds ----------------------------------------------------------------------------------------------


JSON = {"content-type": "application/json"}


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 2**16 + 1):
        yield b" " * 2**16


def test_a_body_has_a_bound(local: Visitor, storage: Storage) -> None:
    small = local.post("/api/jobs", content=b'{"task":"shop.any"}' + b" " * 2**20, headers=JSON)
    assert status(small) == 201
    for content in (b" " * (LARGEST_BODY + 1), chunks(LARGEST_BODY)):
        response = local.post("/api/jobs", content=content, headers=JSON)
        assert (status(response), response.json()["type"]) == (413, "urn:distq:problem:too-large")
    form = local.post(WRITE, content=chunks(LARGEST_BODY), headers={**FORM, **ORIGIN})
    assert status(form) in (400, 413)
    assert not is_paused(storage)


def test_a_body_that_says_it_is_too_large_is_not_read(storage: Storage) -> None:
    with serving(service_on(storage)) as url:
        address = urlsplit(url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
        connection.putrequest("POST", "/api/jobs")
        connection.putheader("content-length", str(10**12))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


def test_of_many_flaws_the_first_are_told(local: Visitor) -> None:
    response = local.post("/api/jobs", {"x" * 10_000: 1, **{f"field-{n}": 1 for n in range(10_000)}})
    assert status(response) == 422
    assert 10 < len(response.json()["flaws"]) < 100
    assert len(response.content) < 10_000


def test_who_writes_too_often_waits(storage: Storage) -> None:
    service = service_on(storage, tokens=TOKENS, writes=RateLimitItemPerMinute(3))
    with visiting(service, token=OPERATE, client=ELSEWHERE) as visit:
        assert [status(visit.post(WRITE)) for _ in range(3)] == [200] * 3
        response = visit.post(WRITE)
        assert (status(response), response.json()["type"]) == (429, "urn:distq:problem:too-many-writes")
        assert int(response.headers["retry-after"]) > 0
        assert status(visit.get("/api/queues")) == 200
    with visiting(service, token=OPERATE, client="203.0.113.10") as other:
        assert status(other.post(WRITE)) == 200


def test_the_api_escapes_nothing_and_is_no_page(local: Visitor, storage: Storage) -> None:
    storage.run(storage.enqueue([job._replace(task="<script>alert(1)</script>") for job in make()]))
    response = local.get("/api/jobs")
    assert "<script>alert(1)</script>" in response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
