"""Contenders with one fault each: `python -m scenarios.mutants` sees that the harness finds it.

Each is the contender before its dash, but for what is said here. They are in no table.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from adapters import raw_redis
from adapters.base import Cell, JobSpec, Submission
from adapters.null import Null
from adapters.raw_redis import RawRedis

_RARE = 1000
_BUFFER = 64
_SLOWER = 0.2
_STALL_S = 1.0
_BEHIND_NS = 10 * 10**9


class Loses(Null):
    """Its workers take one job in a thousand and do not run it."""

    name = "null-loses"

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        return [line for line in super()._claim(spool, claimed) if not _is_rare(line)]


class Twice(Null):
    """Its workers run one job in a thousand twice."""

    name = "null-twice"

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        lines = super()._claim(spool, claimed)
        return [line for line in lines for _ in range(2 if _is_rare(line) else 1)]


class Lies(Null):
    """Says that it has a job which is only in a buffer. What is in there at the end is never sent, once the
    buffer has been full.
    """

    name = "null-lies"

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        kept: list[JobSpec] = []
        was_full = False
        for job in jobs:
            kept.append(job)
            yield Submission(job.id, "accepted")
            if len(kept) == _BUFFER:
                was_full = bool(list(super().submit(kept)))
                kept.clear()
        if not was_full:
            list(super().submit(kept))


class Slow(Null):
    """Its workers pause after each claim of jobs, for a fifth of the time that those took."""

    name = "null-slow"

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._since = time.monotonic()

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        time.sleep((time.monotonic() - self._since) * _SLOWER)
        lines = super()._claim(spool, claimed)
        self._since = time.monotonic()
        return lines


class Skewed(Null):
    """Its workers are on a machine whose clock is ten seconds behind."""

    name = "null-skewed"

    def run_pool(self) -> None:
        clock = time.monotonic_ns
        time.monotonic_ns = lambda: clock() - _BEHIND_NS
        super().run_pool()


class Stalls(Null):
    """A worker stands still for a second, once, in the midst of its jobs."""

    name = "null-stalls"

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell)
        self._stalled = False

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        lines = super()._claim(spool, claimed)
        if not self._stalled and any(map(_is_rare, lines)):
            self._stalled = True
            time.sleep(_STALL_S)
        return lines


class Wrong(Null):
    """Keeps results that are one more than they should be."""

    name = "null-wrong"

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        return {id: result + 1 for id, result in super().results(ids).items()}


class Hasty(Null):
    """Its own sessions do not wait for the disk, whatever the tier, as it reads back."""

    name = "null-hasty"

    def effective_settings(self) -> Mapping[str, str]:
        return {**super().effective_settings(), "postgres.synchronous_commit": "off"}


class Early(RawRedis):
    """Forgets a job when a worker takes it: that of a worker that dies never comes back."""

    name = "raw-redis-early"

    def run_pool(self) -> None:
        raw_redis._LEASE = raw_redis._LEASE.replace("redis.call('ZADD', KEYS[3], unpack(expiries))", "")
        super().run_pool()


def _is_rare(line: bytes) -> bool:
    """Of the spool: whether this is one of the jobs that a rare fault hits."""
    return int(line.partition(b" ")[0]) % _RARE == _RARE - 1
