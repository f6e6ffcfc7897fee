"""How long the dashboard's pages take with many jobs in the store: `python -m tests.performance.pages`.

A `distq serve` of its own is asked over HTTP, one page after the other, on the machine of the store. Half of
the jobs wait, and of those that ended one in twenty is dead.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from urllib.parse import quote

import httpx
import psycopg

from adapters.base import Service
from distq import DistQ
from distq.job import Filter, JobState, Lease, Outcome, OutcomeKind
from distq.messages import RemoteError, encode_error
from distq.storage import Storage
from scenarios.servers import Servers
from scenarios.statistics import quantiles
from tests.performance import tables

QUEUES = ("mail", "images")
CHUNK = 1000
KEPT = 3600.0
DEAD_EVERY = 20
FAILURES = [
    encode_error(RemoteError(kind, message, "Traceback (most recent call last):\n" * 20))
    for kind, message in (("ConnectionError", "no route to host"), ("ValueError", "no @ in the address"))
]


def measure(servers: Servers, jobs: int, rounds: int) -> None:
    """Print a table for each storage."""
    for store, service in (("postgres", Service.POSTGRES), ("redis", Service.REDIS)):
        url = servers.urls[service]
        with _serving(url) as client:
            app = DistQ(url)
            _fill(app, jobs)
            if service is Service.POSTGRES:
                _vacuum(url)
            pages = _pages(app.storage)
            found = tables.by_turns(
                {name: lambda path=path: _timed(client, path) for name, path in pages.items()}, rounds
            )
            app.close()
        rows = [(name, *_figures(times)) for name, times in found.items()]
        title = f"{store}: pages with {jobs:,} jobs, {rounds} requests each"
        tables.print_markdown(title, ("page", "median, ms", "slowest, ms"), rows)


def _figures(times: Sequence[float]) -> Iterator[str]:
    for figure in quantiles(times, [50, 100]):
        yield f"{figure * 1000:.1f}"


def _timed(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - began


# -- a million jobs --------------------------------------------------------------------------------------


def _fill(app: DistQ, jobs: int) -> None:
    """Half of the jobs end, the others wait."""
    tasks = [app.task(name=f"{queue}.send", queue=queue)(tables.noop) for queue in QUEUES]
    for task in tasks:
        for start in range(0, jobs // len(tasks), CHUNK):
            task.enqueue_many([(tables.PAYLOAD,)] * min(CHUNK, jobs // len(tasks) - start))
    for queue in QUEUES:
        for leases in islice(_leases(app.storage, queue), jobs // len(QUEUES) // 2 // CHUNK):
            outcomes = [_outcome(number, lease.id, lease.token) for number, lease in enumerate(leases)]
            app.storage.run(app.storage.settle(outcomes, keep=KEPT))


def _vacuum(url: str) -> None:
    """What autovacuum would do in the next minute, while it takes a core."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) distq.job, distq.finished")


def _leases(storage: Storage, queue: str) -> Iterator[Sequence[Lease]]:
    while leases := storage.run(storage.lease(queue, worker="filler", limit=CHUNK, ttl=60, alone=False)):
        yield leases


def _outcome(number: int, job_id: str, token: str) -> Outcome:
    if number % DEAD_EVERY:
        return Outcome(job_id, token, OutcomeKind.DONE, b"42")
    return Outcome(job_id, token, OutcomeKind.DEAD, FAILURES[number // DEAD_EVERY % len(FAILURES)])


# -- its pages -------------------------------------------------------------------------------------------


def _pages(storage: Storage) -> Mapping[str, str]:
    """Paths by what they show."""
    states = (JobState.READY, JobState.DONE, JobState.DEAD)
    some = {
        state: storage.run(storage.find(Filter("mail", state), limit=500)).jobs[-1].id for state in states
    }
    return {
        "queues": "/",
        "one queue": "/queues/mail",
        "workers": "/workers",
        "all jobs": "/jobs",
        **{f"{state} jobs": f"/jobs?queue=mail&state={state}" for state in states},
        "ready jobs, the newest": "/jobs?queue=mail&state=ready&newer=1s",
        "done jobs, older than 1 s": "/jobs?queue=mail&state=done&older=1s",
        "dead jobs by text": "/jobs?queue=mail&state=dead&text=no%20route",
        "done jobs, a text that none has": "/jobs?queue=mail&state=done&text=nowhere",
        **{f"a {state} job": f"/jobs/{quote(job_id)}" for state, job_id in some.items()},
        "dead letters": "/dead",
        "cron": "/cron",
        "audit": "/audit",
        "API: queues": "/api/queues",
        "API: jobs": "/api/jobs?queue=mail&state=done&limit=100",
        "metrics": "/metrics",
    }


@contextmanager
def _serving(url: str) -> Iterator[httpx.Client]:
    app = DistQ(url)
    app.storage.migrate()
    app.close()
    argv = [sys.executable, "-m", "distq", "serve", "--url", url, "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = process.stdout.readline()
            address = re.search(r"http://\S+", said)
            if not address:
                raise RuntimeError(f"distq serve said {said!r}")
            with httpx.Client(base_url=address[0], timeout=30) as client:
                yield client
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(tables.run("pages", measure, {Service.POSTGRES, Service.REDIS}, jobs=1_000_000))
