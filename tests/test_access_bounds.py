"""What holds of whoever asks: headers of every answer, bounds of bodies, of flaws and of writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest
from limits import RateLimitItemPerMinute

from distq.service.application import create
from distq.service.routing import HEADERS, LARGEST_BODY
from distq.storage import Storage
from tests.contract.steps import make
from tests.services import OPERATE, READ, TOKENS, Visitor, app_on, service_on, serving, visiting
from tests.visitors import ELSEWHERE, FORM, ORIGIN, WRITE, bearer, carry, is_paused, routes_of, status
from tests.visitors import local as local
from tests.visitors import storage as storage

# -- what every answer says ------------------------------------------------------------------------------


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
    with serving(service_on(storage, app=app_on(storage))) as url:
        address = urlsplit(url)
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=5)) as connection:
            connection.putrequest("POST", "/api/jobs")
            connection.putheader("content-length", str(10**12))
            connection.endheaders()
            assert connection.getresponse().status == 413


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
