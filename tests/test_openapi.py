"""The API's description of itself: schemathesis asks by it, and nothing is missing in it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    with visiting(service_on(MemoryStorage(), tokens=TOKENS)) as visit:
        return visit.value("/api/openapi.json")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.mark.parametrize("store", ["memory", "postgres"])
def test_schemathesis_finds_no_failure(request: pytest.FixtureRequest, tmp_path: Path, store: str) -> None:
    for storage in open_storage(request, store):
        add(storage, 5)
        body = encode_error(RemoteError("ValueError", "no such address"))
        settle(storage, take(storage, 3), OutcomeKind.DEAD, body=body)
        service = service_on(storage, app=app_on(storage), tokens=TOKENS)
        with serving(service) as url:
            program = Path(sys.executable).with_name("schemathesis")
            options = ["--checks", "all", "--max-examples", EXAMPLES, "--seed", "1", "--no-color"]
            header = ["--header", f"Authorization: Bearer {OPERATE}"]
            argv = [program, "--config-file", CONFIG, "run", f"{url}/api/openapi.json", *header, *options]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=100, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        number = re.search(r"([\d,]+) generated", done.stdout)
        assert number
        assert int(number[1].replace(",", "")) > 500


def test_all_routes_of_the_api_are_described(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "mail", path)) for method, path, _ in operations(document)
    }
    app = create(service_on(MemoryStorage()))
    ours = re.compile(r"/(api/(?!openapi)|health|ready|metrics)")
    there = {
        (method, path) for method, path in routes_of(app.routes) if ours.match(path) and method != "HEAD"
    }
    assert described == there


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
        name = operation["operationId"]
        assert hasattr(Client, others.get(name, name)), path


def test_an_error_is_one_kind_of_problem() -> None:
    names = [name for _, name in KINDS.values()]
    assert len(set(names)) == len(names)
