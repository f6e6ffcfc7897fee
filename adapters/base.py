"""The Adapter Protocol: what a contender must do. Read `null.py` next, it is the smallest one.

An adapter moves work; it never measures. The harness stamps the clock when the adapter takes a job
from `submit`'s iterator, when the adapter yields that job's `Submission`, and inside the `Handler`
that runs in the contender's workers (the division is OpenMessaging Benchmark's).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

CELL_VARIABLE = "DISTQ_BENCH_CELL"

Profile = Literal["default", "matched", "tuned"]
Tier = Literal["memory", "production", "strict"]


class Service(StrEnum):
    """A server that a contender may need."""

    POSTGRES = "postgres"
    REDIS = "redis"
    RABBITMQ = "rabbitmq"


class AdapterError(Exception):
    """A contender cannot do what was asked; the message is one line: what, where, what to do."""


class JobSpec(NamedTuple):
    """One job to submit: a number unique in its cell, and the payload as printable ASCII."""

    id: int
    payload: str


class Submission(NamedTuple):
    """What the contender said of one job. `unknown`: no answer came, the job may or may not be there."""

    id: int
    status: Literal["accepted", "rejected", "unknown"]


class Handler(Protocol):
    """The harness's function that runs inside every contender's worker."""

    def __call__(self, job_id: int, payload: str) -> int:
        """Record the start, do the cell's work, record the finish. Returns `expected_result(job)`."""
        ...

    def batch(self, ids: Sequence[int]) -> None:
        """Record many jobs as started and finished at once: for raw contenders that run no Python per job."""
        ...

    def settled(self, ids: Sequence[int]) -> None:
        """Record that the broker has forgotten these jobs, at once.

        Called right after the broker's answer to the acknowledgement, or after it was sent where the broker
        gives none, in the process that got or sent it; that need not be one that runs jobs. A contender that
        cannot tell the moment never calls it.
        """
        ...


class Promises(BaseModel):
    """What a contender promises under one profile, as its documentation or source says it."""

    model_config = ConfigDict(frozen=True)

    delivery: Literal["at most once", "at least once"]
    acked: str
    """When the broker forgets a job: "before the run", "after the run, result stored", …"""
    fenced: bool
    """Whether a worker that lost its job is refused when it finishes after all."""
    results: str
    """Where results are kept, or "none"."""
    prefetch: str
    """How many jobs a worker holds beside the one it runs."""
    batch: str
    """How many jobs one enqueue and one acknowledgement carry, e.g. "1" or "up to 500"."""
    redelivery_s: float | None
    """Seconds until a job whose worker was killed runs again; None where it never does."""


class Cell(BaseModel):
    """One measurement: one contender, its settings, its servers, its run directory."""

    model_config = ConfigDict(frozen=True)

    adapter: str
    profile: Profile = "matched"
    tier: Tier = "production"
    processes: int = 2
    concurrency: int = 1
    batch: int = 0
    """How many jobs a worker process takes at once, at most; 0: as the profile has it. `null` ignores it."""
    work: str = "noop"
    """`noop`, `sleep:MS` or `cpu:MS`: read by the handler, never by an adapter."""
    namespace: str
    """Unique for the cell, `[a-z0-9_]+`: every table, key, queue or exchange made on a server carries it."""
    urls: Mapping[Service, str]
    directory: Path
    """The cell's own directory: ledger, starting gate, logs."""
    handler: str = "scenarios.handler:LedgerHandler"
    """`module:Class`, called with the cell."""

    @staticmethod
    def current() -> Cell:
        """The cell of this process, read from the file that the harness named in the environment.

        Worker processes that a contender starts from a fresh interpreter find their settings so.
        """
        return Cell.model_validate_json(Path(os.environ[CELL_VARIABLE]).read_bytes())

    def make_handler(self) -> Handler:
        """A new handler. It opens its files on first use, so one made before a fork serves the children."""
        module, _, name = self.handler.partition(":")
        return getattr(importlib.import_module(module), name)(self)


class Adapter(Protocol):
    """A contender: broker, library and settings under test. Blocking; made anew in each process."""

    name: ClassVar[str]
    needs: ClassVar[frozenset[Service]]
    unequal: ClassVar[tuple[str, ...]]
    """What is not equal about it beside the others here, a statement a line: the report prints them for its
    authors to check. Batches, what is not stored or not durable, what may be lost, what is left unused.
    """

    def __init__(self, cell: Cell) -> None: ...

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        """What the contender promises under this profile."""
        ...

    def setup(self) -> None:
        """Create everything the cell needs on the servers, empty. Idempotent.

        Raises:
            AdapterError: a server does not answer.
        """
        ...

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        """Enqueue jobs as fast as the library's best documented way allows.

        Takes a job from `jobs` only when about to send it, and yields its submission once the
        contender has said what became of it; both moments are stamped by the caller.
        """
        ...

    def run_pool(self) -> None:
        """Run the contender's own native pool of `cell.processes` in this process and its children.

        Returns after SIGTERM, with every child gone.
        """
        ...

    def depth(self) -> int:
        """How many jobs wait or run, asked from the server."""
        ...

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        """What the backend holds for these jobs; a job without a result is absent."""
        ...

    def effective_settings(self) -> Mapping[str, str]:
        """Settings that matter, read back from the server and the library, not from our own configuration."""
        ...

    def teardown(self) -> None:
        """Remove everything that `setup` and the run made. Idempotent; close connections."""
        ...


def expected_result(job: JobSpec) -> int:
    """What a correct run of a job returns: derived from the payload, and computable in SQL and Lua."""
    return job.id + len(job.payload)
