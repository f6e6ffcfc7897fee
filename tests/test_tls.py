"""TLS to the stores: the server's certificate is checked, and everything works behind it."""

from __future__ import annotations

import asyncio
import ssl
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from distq import DistQ, StorageUnavailable
from distq.testing import Clock, TestWorker


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate, which a client has to know."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def encrypted_port(redis_url: str, authority: trustme.CA) -> Iterator[int]:
    """A port that speaks TLS and passes on to the tests' Redis: its own wheel knows no TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = urlsplit(redis_url)
    loop, started, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(server.hostname, server.port)
        await asyncio.gather(copy(reader, behind[1]), copy(behind[0], writer), return_exceptions=True)

    async def serve() -> None:
        listener = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
        ports.append(listener.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        listener.close()
        # Whoever was connected has gone, so they end by themselves.
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=10)

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait(10)
    yield ports[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_redis_behind_tls(encrypted_port: int, certificate: Path) -> None:
    place = f"rediss://127.0.0.1:{encrypted_port}/0?prefix=t{uuid.uuid4().hex[:12]}"
    app = DistQ(f"{place}&ssl_ca_certs={certificate}")
    app.storage.migrate()
    job = app.task(name="t")(lambda: 3).enqueue()
    assert TestWorker(app, Clock()).run() == 1
    assert job.result(timeout=10) == 3
    app.close()
    stranger = DistQ(place)
    with pytest.raises(StorageUnavailable, match="certificate verify failed"):
        stranger.task(name="t")(lambda: 3).enqueue()
    stranger.close()
