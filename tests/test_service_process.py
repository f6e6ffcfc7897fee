"""`distq serve` as a process: how it starts, what it does while the storage is away, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from distq.connect import connect
from distq.job import JobState
from tests.commands import Done, apart
from tests.contract.steps import QUEUE, add
from tests.frozen import Freezer, freezer
from tests.helpers import eventually
from tests.services import OPERATE, served
from tests.world import url_of


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISTQ_URL", "DISTQ_TOKEN", "DISTQ_READ_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["postgres", "redis"])
def each_url(request: pytest.FixtureRequest) -> str:
    """A storage with a job, of either kind."""
    return with_a_job(url_of(request, request.param))


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A storage with a job, where it does not matter which."""
    return with_a_job(url_of(request, "redis"))


def with_a_job(url: str) -> str:
    storage = connect(url)
    storage.migrate()
    add(storage)
    storage.close()
    return url


# -- starting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_it_listens_elsewhere_only_with_a_token(host: str) -> None:
    # Whatever else is wrong, this comes first: nothing else has been looked at.
    refused = serve("--host", host, "--app", "no.such:app", "--url", "nix://x", "--audit-log", "/nowhere/x")
    refused.refused(2, "--host", "DISTQ_TOKEN")


def serve(*options: str, **environment: str) -> Done:
    return apart("serve", *options, **environment)


def test_a_token_to_read_is_not_enough_to_listen_elsewhere() -> None:
    serve("--host", "0.0.0.0", DISTQ_READ_TOKEN=OPERATE).refused(2, "DISTQ_TOKEN")


def test_a_token_that_is_none_is_said_before_anything_else() -> None:
    serve("--url", "nix://x", DISTQ_TOKEN="of words").refused(2, "DISTQ_TOKEN is no token")


def test_with_a_token_it_listens_elsewhere(url: str) -> None:
    with served("--host", "0.0.0.0", "--url", url, DISTQ_TOKEN=OPERATE) as process:
        port = process.url.rpartition(":")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/api/queues").status_code == 401
        headers = {"authorization": f"Bearer {OPERATE}"}
        assert httpx.get(f"http://127.0.0.1:{port}/api/queues", headers=headers).status_code == 200


def test_a_port_that_is_taken_is_one_line(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        serve("--url", url, "--port", port).refused(2, f"port {port}", "taken")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["--url"]),
        (["--url", "memory://"], ["memory://"]),
        (["--url", "nix://x"], ["nix://"]),
        (["--url", "redis://127.0.0.1:1", "--app", "no.such:app"], ["no module named 'no'"]),
        (["--url", "redis://127.0.0.1:1", "--results", "/nowhere"], ["--results", "/nowhere"]),
        (["--url", "redis://127.0.0.1:1", "--trace-url", "http://x"], ["--trace-url", "{trace_id}"]),
        (["--url", "redis://127.0.0.1:1", "--trace-url", "javascript:{trace_id}"], ["--trace-url"]),
        (["--url", "redis://127.0.0.1:1", "--audit-log", "/nowhere/x"], ["/nowhere/x"]),
        (["--port", "70000"], ["port"]),
    ],
)
def test_a_mistake_is_one_line(options: list[str], words: list[str]) -> None:
    done = serve(*options)
    assert (done.status, done.out) == (2, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("distq: ")
    assert all(word in last for word in words), done.err


def test_a_storage_that_is_not_migrated_says_what_to_do(request: pytest.FixtureRequest) -> None:
    serve("--url", url_of(request, "postgres")).refused(1, "run `distq migrate")


def test_it_starts_while_the_storage_is_away(capfd: pytest.CaptureFixture[str]) -> None:
    with served("--url", "postgresql://127.0.0.1:1/nix") as process:
        assert httpx.get(f"{process.url}/health").json() == {"status": "ok"}
        ready = httpx.get(f"{process.url}/ready")
        assert ready.status_code == 503
        assert ready.headers["content-type"] == "application/problem+json"
        assert "does not answer" in ready.json()["detail"]
        assert httpx.get(f"{process.url}/api/queues").status_code == 503
        assert "distq_up 0.0" in httpx.get(f"{process.url}/metrics").text
        assert process.end() == 0
    assert "does not answer" in capfd.readouterr().err


def test_what_it_logs_is_lines_or_documents(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with served("--url", url, "--json") as process:
        httpx.post(f"{process.url}/api/queues/{QUEUE}/pause")
        assert process.end() == 0
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "pause" in line]
    assert line.startswith("{")


# -- ending ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_whoever_watches(each_url: str, number: int) -> None:
    with served("--url", each_url) as process, ExitStack() as streams:
        job = httpx.get(f"{process.url}/api/jobs").json()["jobs"][0]["id"]
        for path in event_streams(process.url):
            stream = streams.enter_context(httpx.stream("GET", process.url + path, timeout=10))
            assert stream.status_code == 200
            assert next(stream.iter_raw())
        answers: list[int] = []
        waiting = threading.Thread(target=wait_for_result, args=(process.url, job, answers))
        waiting.start()
        began = time.monotonic()
        assert process.end(number) == 0
        assert time.monotonic() - began < 4
        waiting.join(5)
        assert not waiting.is_alive()
        assert answers in ([], [200])


def wait_for_result(url: str, job: str, answers: list[int]) -> None:
    """Where the request has come before the end it is answered."""
    with suppress(httpx.TransportError):
        answers.append(httpx.get(f"{url}/api/jobs/{job}/result?wait=9", timeout=40).status_code)


def event_streams(url: str) -> list[str]:
    """The streams that the first page opens."""
    page = httpx.get(f"{url}/").text
    return re.findall(r'sse-connect="([^"]+)"', page)


@pytest.mark.parametrize("times", [1, 3])
def test_nothing_is_left_on_the_terminal_when_it_ends(
    url: str, times: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with served("--url", url) as process:
        httpx.get(f"{process.url}/api/queues")
        for _ in range(times - 1):
            process.process.send_signal(signal.SIGINT)
        assert process.end(signal.SIGINT) == 0
    assert capfd.readouterr().err == ""


# -- a storage that comes and goes -----------------------------------------------------------------------


@pytest.fixture(params=["postgres", "redis"])
def frozen(request: pytest.FixtureRequest) -> Iterator[Freezer]:
    with freezer(request.param) as server:
        with_a_job(server.url)
        yield server


def test_while_the_storage_is_frozen_it_says_so_in_time_and_recovers(frozen: Freezer) -> None:
    with served("--url", frozen.url) as process, httpx.Client(base_url=process.url, timeout=20) as http:
        assert http.get("/ready").status_code == 200
        assert http.get("/api/queues").status_code == 200
        frozen.freeze()
        for path, most in (("/ready", 3), ("/health", 1), ("/api/jobs", 7), ("/metrics", 12), ("/ready", 3)):
            began = time.monotonic()
            response = http.get(path)
            assert time.monotonic() - began < most, path
            assert response.status_code == (200 if path in ("/health", "/metrics") else 503), path
        eventually(lambda: http.get("/api/queues").status_code == 503, 15)
        assert "distq_up 0.0" in http.get("/metrics").text
        frozen.thaw()
        eventually(lambda: http.get("/ready").status_code == 200, 15)
        eventually(lambda: http.get("/api/queues").status_code == 200, 25)
        assert http.get("/api/jobs").status_code == 200
        eventually(lambda: "distq_up 1.0" in http.get("/metrics").text, 25)


def test_it_ends_while_the_storage_is_frozen(frozen: Freezer) -> None:
    with served("--url", frozen.url) as process:
        httpx.get(f"{process.url}/api/queues")
        frozen.freeze()
        assert httpx.get(f"{process.url}/ready", timeout=10).status_code == 503
        began = time.monotonic()
        assert process.end(within=20) == 0
        assert time.monotonic() - began < 8


def test_a_write_to_a_frozen_storage_is_given_up_in_time(frozen: Freezer) -> None:
    with served("--url", frozen.url) as process:
        frozen.freeze()
        began = time.monotonic()
        response = httpx.post(f"{process.url}/api/queues/{QUEUE}/pause", timeout=20)
        assert (response.status_code, time.monotonic() - began < 7) == (503, True)
        frozen.thaw()
        eventually(lambda: httpx.post(f"{process.url}/api/queues/{QUEUE}/resume").status_code == 200, 25)


# -- the audit -------------------------------------------------------------------------------------------


def test_the_audit_is_in_its_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    with served("--url", url, "--audit-log", str(file)) as process:
        httpx.post(f"{process.url}/api/queues/{QUEUE}/purge", json={"states": ["ready"]})
        process.end()
    assert [line for line in file.read_text().splitlines() if '"outcome":"1 purged"' in line]
    storage = connect(url)
    assert not storage.run(storage.counts(QUEUE)).get(JobState.READY)
    storage.close()
