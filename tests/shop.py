"""The shop of examples/, started as `make example` does, and ways to look behind it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from distq import DistQ
from tests.helpers import eventually

ROOT = Path(__file__).parent.parent

READY = "Ctrl-C ends it all."
"""The launcher's last line of those about the start."""


@dataclass
class Shop:
    """A shop that runs, and what its launcher has printed."""

    process: subprocess.Popen[bytes]
    said: Path
    http: httpx.Client
    addresses: dict[str, str]
    jobs: DistQ

    def place(self, email: str, key: str = "", **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post(
            "/orders", json={"email": email, "product": "birch tea"} | fields, headers=headers
        )

    def job(self, order_id: int) -> dict[str, Any]:
        """What has become of the order's job, when it has ended."""
        return self.http.get(f"/orders/{order_id}", params={"wait": 20}).json()["job"]

    def mails_of(self, order_id: int) -> int:
        ids = [mail["message_id"] for mail in self.http.get("/mails").json()]
        return ids.count(f"<order-{order_id}@shop.example>")

    def ask(self, query: str, *values: object) -> Any:
        """The one value that a query gives, None where it gives none."""
        with psycopg.connect(self.addresses["database"]) as connection:
            row = connection.execute(query, values).fetchone()  # pyright: ignore
        return row[0] if row else None

    def enqueued(self) -> tuple[int, int]:
        """How many jobs of orders there are, ended ones too: of mails, of invoices."""
        mail, books = (sum(self.jobs.queue(name).counts().values()) for name in ("mail", "books"))
        return mail, books


def events(client: httpx.Client, path: str) -> Iterator[tuple[str, str]]:
    """The server-sent events of a stream: name and data, until it ends or nobody asks for more."""
    name, data = "", list[str]()
    with client.stream("GET", path) as stream:
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif not line and data:
                yield name, "\n".join(data)
                data.clear()


def run(*module: str, output: Any = None, **environment: str) -> subprocess.Popen[bytes]:
    """Start a module of the checkout, in a process group of its own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("DISTQ_", "SHOP_"))}
    return subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=own | environment,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )


@contextmanager
def serving(url: str, process: subprocess.Popen[bytes]) -> Iterator[httpx.Client]:
    """A client of what a process serves; at the end the process is killed if it is still there."""
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def launched(said: Path, **environment: str) -> Iterator[Shop]:
    """The shop without customers, on any ports, when it is up. What is printed goes into a file."""
    any_port = ("--port", "0", "--dashboard-port", "0")
    with said.open("wb") as output:
        process = run("examples.shop", "--quiet", *any_port, output=output, **environment)
    eventually(lambda: READY in said.read_text() or process.poll() is not None, 60)
    addresses = dict(line.split(maxsplit=1) for line in said.read_text().splitlines())
    with serving(addresses["shop"], process) as client:
        jobs = DistQ(addresses["database"])
        yield Shop(process, said, client, addresses, jobs)
        jobs.close()
