"""Who comes by a browser: writes that another site sends, tickets, sessions, and cookies that are forged."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from fastapi import Request, Response

from distq.service import access as module
from distq.service.access import COOKIE, Access, Role
from distq.storage import Storage
from tests.contract.steps import QUEUE
from tests.services import OPERATE, READ, TOKENS, Visitor, service_on, visiting
from tests.visitors import ELSEWHERE, FORM, ORIGIN, WRITE, is_paused, status
from tests.visitors import local as local
from tests.visitors import storage as storage
from tests.visitors import stranger as stranger

# -- writes that a browser was tricked into --------------------------------------------------------------


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


@pytest.mark.parametrize("path", [f"/queues/{QUEUE}/pause", "/bulk"])
def test_what_is_for_a_pages_form_wants_its_ticket_of_programs_too(
    local: Visitor, storage: Storage, path: str
) -> None:
    for content in ({}, {"json": {}}, {"data": {"csrf": "wrong"}}):
        assert status(local("POST", path, **content)) == 403
    assert not is_paused(storage)


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
