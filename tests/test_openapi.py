"""The API's description of itself: schemathesis asks by it, and nothing is missing in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from distq import client
from distq.client import Client
from distq.job import OutcomeKind
from distq.memory.storage import MemoryStorage
from distq.messages import RemoteError, encode_error
from distq.service.application import create
from distq.service.errors import KINDS
from tests.contract.steps import add, settle, take
from tests.services import OPERATE, TOKENS, app_on, open_storage, service_on, serving, visiting
from tests.visitors import routes_of

CONFIG = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = "12"
"""Requests of each operation that are made up, beside those of the other phases."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return described(tokens=TOKENS)


def described(*, knows_tasks: bool = True, tokens: Any = None) -> dict[str, Any]:
    storage = MemoryStorage()
    app = app_on(storage) if knows_tasks else None
    with visiting(service_on(storage, app=app, tokens=tokens)) as visit:
        return visit.value("/api/openapi.json")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.mark.parametrize(("store", "tokens"), [("memory", None), ("postgres", TOKENS)])
def test_schemathesis_finds_no_failure(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, tokens: Any
) -> None:
    for storage in open_storage(request, store):
        add(storage, 5)
        body = encode_error(RemoteError("ValueError", "no such address"))
        settle(storage, take(storage, 3), OutcomeKind.DEAD, body=body)
        with serving(service_on(storage, app=app_on(storage), tokens=tokens)) as url:
            program = Path(sys.executable).with_name("schemathesis")
            options = ["--checks", "all", "--max-examples", EXAMPLES, "--seed", "1", "--no-color"]
            header = ["--header", f"Authorization: Bearer {OPERATE}"] if tokens else []
            argv = [program, "--config-file", CONFIG, "run", f"{url}/openapi.json", *header, *options]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=100, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        number = re.search(r"([\d,]+) generated", done.stdout)
        assert number
        assert int(number[1].replace(",", "")) > 500


def test_all_routes_of_the_api_are_described(document: dict[str, Any]) -> None:
    told = {(method.upper(), re.sub(r"\{\w+\}", "mail", path)) for method, path, _ in operations(document)}
    storage = MemoryStorage()
    app = create(service_on(storage, app=app_on(storage)))
    ours = re.compile(r"/(api/(?!openapi)|health|ready|metrics)")
    there = {
        (method, path) for method, path in routes_of(app.routes) if ours.match(path) and method != "HEAD"
    }
    assert told == there


def test_every_operation_says_who_may_and_what_may_go_wrong(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        answers = operation["responses"]
        if path in ("/health", "/ready"):
            assert "security" not in operation, where
            continue
        assert operation["security"] == [{"token": []}], where
        expected = {"401", "500"} | ({"403", "413", "429", "503"} if method == "post" else set())
        assert expected <= answers.keys(), where
        for status, answer in answers.items():
            assert answer["description"], where
            if status >= "400":
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, where
            elif path != "/metrics":
                assert "$ref" in answer["content"]["application/json"]["schema"], where


def test_where_no_token_is_set_none_is_asked_for() -> None:
    document = described()
    assert "securitySchemes" not in document["components"]
    for method, path, operation in operations(document):
        assert "security" not in operation, f"{method} {path}"
        if path not in ("/health", "/ready"):
            assert "this machine" in operation["responses"]["401"]["description"]
            assert "another site" in operation["responses"]["403"]["description"]


def test_where_no_application_is_known_enqueueing_is_not_described() -> None:
    document = described(knows_tasks=False)
    assert {"/api/jobs", "/api/jobs/batch"} & set(document["paths"]) == {"/api/jobs"}
    assert list(document["paths"]["/api/jobs"]) == ["get"]
    assert not {"NewCall", "NewBatch"} & set(document["components"]["schemas"])


def test_it_is_at_the_root_as_well() -> None:
    with visiting(service_on(MemoryStorage(), tokens=TOKENS)) as visit:
        at_root, below = visit.get("/openapi.json"), visit.get("/api/openapi.json")
        assert at_root.json() == below.json()
        assert at_root.headers["content-security-policy"] == below.headers["content-security-policy"]


def test_the_client_waits_no_longer_than_a_request_may(document: dict[str, Any]) -> None:
    (wait,) = (
        parameter
        for parameter in document["paths"]["/api/jobs/{id}/result"]["get"]["parameters"]
        if parameter["name"] == "wait"
    )
    assert client.LONGEST_WAIT <= wait["schema"]["maximum"] < 10


def test_a_long_wait_of_the_client_is_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.01)
    storage = MemoryStorage()
    (job_id,) = add(storage)
    asked: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(float(request.url.params["wait"]))
        state = "done" if len(asked) == 3 else "leased"
        return httpx.Response(200, json={"id": job_id, "state": state, "result": 5, "error": None})

    with Client("http://service", transport=httpx.MockTransport(answer)) as asking:
        assert asking.result(job_id, timeout=60) == 5
    assert asked == [0.01] * 3


def test_nothing_that_is_referred_to_is_missing(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert referred == set(schemas)
    assert {"type", "title", "status", "detail"} <= set(schemas["Problem"]["required"])
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_the_client_has_all_that_the_api_has(document: dict[str, Any]) -> None:
    others = {
        "enqueue_batch": "enqueue_many",
        "list_jobs": "page",
        "list_queues": "queues",
        "list_workers": "workers",
        "list_troubles": "troubles",
        "list_tasks": "tasks",
        "list_schedules": "schedules",
        "list_dead": "dead",
        "pause_queue": "pause",
        "resume_queue": "resume",
        "measured": "metrics",
        "health": "ready",
    }
    for _, path, operation in operations(document):
        name: str = operation["operationId"]
        assert hasattr(Client, others.get(name, name)), path


def test_an_error_is_one_kind_of_problem() -> None:
    names = [name for _, name in KINDS.values()]
    assert len(set(names)) == len(names)
