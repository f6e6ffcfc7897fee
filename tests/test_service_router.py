"""The service within an application of somebody's."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fastapi import FastAPI

import distq.service
from distq import ConfigurationError, DistQ
from distq.job import JobState
from distq.memory.storage import MemoryStorage
from distq.storage import Storage
from tests.api import app as app
from tests.api import storage as storage
from tests.contract.steps import QUEUE, add, state
from tests.services import app_on, service_on, visiting


@pytest.fixture
def shop(app: DistQ, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """An application that has the service below a prefix, and routes of its own."""
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    monkeypatch.delenv("DISTQ_READ_TOKEN", raising=False)
    shop = FastAPI()

    @shop.get("/")
    def home() -> str:  # pyright: ignore[reportUnusedFunction]
        return "shop"

    @shop.get("/queue/own")
    def own() -> str:  # pyright: ignore[reportUnusedFunction]
        raise ValueError("its own")

    shop.include_router(distq.service.router(app), prefix="/queue")
    return shop


def test_it_works_below_a_prefix_of_somebodys_application(shop: FastAPI, storage: Storage) -> None:
    with visiting(shop) as visit:
        answer = visit.post("/queue/api/jobs", {"task": "shop.send", "args": ["a"]})
        assert answer.status_code == 201
        assert state(storage, answer.json()["id"]) is JobState.READY
        assert visit.value("/queue/health") == {"status": "ok"}
        assert visit.value("/queue/api/openapi.json")["servers"] == [{"url": "/queue"}]
        assert "/queue/static/" in visit.get("/queue/").text


def test_an_application_of_somebodys_stays_as_it_is(shop: FastAPI) -> None:
    with visiting(shop) as visit:
        response = visit.get("/")
        assert response.text == '"shop"'
        assert "content-security-policy" not in response.headers
        assert visit.get("/nix").json() == {"detail": "Not Found"}
        assert visit.get("/queue/own").text == "Internal Server Error"
        assert list(visit.value("/openapi.json")["paths"]) == ["/", "/queue/own"]


def test_below_a_mounted_application_it_finds_itself(app: DistQ, shop: FastAPI) -> None:
    outer = FastAPI()
    outer.mount("/shops", shop)
    with visiting(outer) as visit:
        assert visit.value("/shops/queue/api/openapi.json")["servers"] == [{"url": "/shops/queue"}]


def test_two_services_in_one_application_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    both = FastAPI()
    for name in ("a", "b"):
        storage = MemoryStorage()
        add(storage, queue=f"of-{name}")
        both.include_router(distq.service.router(app_on(storage)), prefix=f"/{name}")
    with visiting(both) as visit:
        for name in ("a", "b"):
            assert [queue["name"] for queue in visit.value(f"/{name}/api/queues")["queues"]] == [f"of-{name}"]
            assert visit.value(f"/{name}/api/openapi.json")["servers"] == [{"url": f"/{name}"}]


def test_it_follows_an_application_that_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    app = app_on(MemoryStorage())
    shop = FastAPI()
    shop.include_router(distq.service.router(app), prefix="/queue")
    app.move(MemoryStorage())
    with visiting(shop) as visit:
        job_id = visit.post("/queue/api/jobs", {"task": "shop.any"}).json()["id"]
        assert state(app.storage, job_id) is JobState.READY


def test_jobs_of_an_application_under_test_run_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_TOKEN", raising=False)
    app = app_on(MemoryStorage())
    with app.inline(), visiting(service_on(app.storage, app=app)) as visit:
        job_id = visit.post("/api/jobs", {"task": "shop.send", "args": ["a", 2]}).json()["id"]
        assert visit.value(f"/api/jobs/{job_id}/result")["result"] == "aa"


def test_the_service_may_end_and_begin_again(storage: Storage, app: DistQ) -> None:
    service = service_on(storage, app=app)
    for _ in range(2):
        with visiting(service) as visit:
            add(storage)
            assert visit.value("/api/queues")["queues"][0]["name"] == QUEUE


def test_a_plain_import_needs_no_web_library() -> None:
    code = "import distq, distq.service, sys; print({'fastapi', 'starlette', 'httpx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "set()"


def test_where_the_extra_is_missing_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("distq.service.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'distq\[service\]'"):
        distq.service.router(app_on(MemoryStorage()))


def test_what_is_no_application_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigurationError, match="queue='nonsense': use the DistQ of your application"):
        distq.service.router("nonsense")  # pyright: ignore[reportArgumentType]
