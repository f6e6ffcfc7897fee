"""No broker at all: a spool file and worker processes that claim lines of it. The harness's ceiling.

Whatever this contender does not reach, no other one can be measured to reach.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from adapters import processes
from adapters.base import Adapter, Cell, JobSpec, Profile, Promises, Submission

_CLAIM_BYTES = 8192
"""At most; less when little is left, so that no worker runs alone at the end."""
_POLL_S = 0.001
_RESULT = struct.Struct("<qq")


class Null(Adapter):
    """Lines appended to `spool`, claimed by moving the number in `claimed`, answered in `results`."""

    name = "null"
    needs = frozenset()
    unequal = (
        "A ceiling of the harness, no queue: the broker is a file, never synced, looked at each millisecond.",
        f"A worker claims up to {_CLAIM_BYTES} bytes of jobs under one lock, and writes all their results at"
        " once.",
        "What a killed worker had claimed is lost: there is no lease, and nothing that settles a job.",
        "Profile, tier, batch and concurrency change nothing.",
    )

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._directory = cell.directory / "null"
        self._spool = self._directory / "spool"
        self._claimed = self._directory / "claimed"
        self._results = self._directory / "results"

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        return Promises(
            delivery="at most once",
            acked="before the run, when claimed",
            fenced=False,
            results="a file in the run directory",
            prefetch=f"up to {_CLAIM_BYTES} bytes of jobs",
            batch=f"1 enqueued, up to {_CLAIM_BYTES} bytes of jobs claimed",
            redelivery_s=None,
        )

    def setup(self) -> None:
        self._directory.mkdir(exist_ok=True)
        for path in (self._spool, self._claimed, self._results):
            path.write_bytes(b"")

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        with self._spool.open("ab", buffering=0) as spool:
            for job in jobs:
                spool.write(f"{job.id} {job.payload}\n".encode())
                yield Submission(job.id, "accepted")

    def run_pool(self) -> None:
        processes.run(self._work, self._cell.processes)

    def _work(self, stop: processes.Stop) -> None:
        handler = self._cell.make_handler()
        with (
            self._spool.open("rb") as spool,
            self._claimed.open("rb+", buffering=0) as claimed,
            self._results.open("ab", buffering=0) as results,
        ):
            while not stop:
                lines = self._claim(spool, claimed)
                if not lines:
                    time.sleep(_POLL_S)
                    continue
                # Never `settled`: there is no broker that could forget a job.
                answers = bytearray()
                for line in lines:
                    number, _, payload = line[:-1].decode().partition(" ")
                    answers += _RESULT.pack(int(number), handler(int(number), payload))
                results.write(answers)

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        """Whole lines that nobody has claimed before."""
        fcntl.flock(claimed, fcntl.LOCK_EX)
        try:
            start = int(os.pread(claimed.fileno(), 20, 0) or b"0")
            share = (os.fstat(spool.fileno()).st_size - start) // (2 * self._cell.processes)
            spool.seek(start)
            lines = spool.readlines(max(1, min(share, _CLAIM_BYTES)))
            if lines and not lines[-1].endswith(b"\n"):  # its writer is not done with it
                lines.pop()
            os.pwrite(claimed.fileno(), b"%d" % (start + sum(map(len, lines))), 0)
        finally:
            fcntl.flock(claimed, fcntl.LOCK_UN)
        return lines

    def depth(self) -> int:
        """How many jobs wait; a claimed one is out of the queue."""
        with self._spool.open("rb") as spool:
            spool.seek(int(self._claimed.read_bytes() or b"0"))
            return sum(1 for _ in spool)

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        stored = dict(_RESULT.iter_unpack(self._results.read_bytes()))
        return {id: stored[id] for id in ids if id in stored}

    def effective_settings(self) -> Mapping[str, str]:
        return {
            "concurrency": "1 (processes only)",
            "broker": "a file, never synced to disk",
            "poll": f"{_POLL_S * 1000:g} ms",
        }

    def teardown(self) -> None:
        if self._directory.exists():
            shutil.rmtree(self._directory)
