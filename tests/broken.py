"""Contenders with one fault each, for the kit to find."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from adapters import raw_redis
from adapters.base import AdapterError, JobSpec, Profile, Promises, Submission
from adapters.null import Null
from adapters.raw_redis import RawRedis


class AcksEarly(Null):
    """Forgets a job when it is claimed, and says otherwise."""

    name = "acks-early"

    @classmethod
    def promises(cls, profile: Profile) -> Promises:
        claims = {"delivery": "at least once", "acked": "after the run", "redelivery_s": 0.2}
        return super().promises(profile).model_copy(update=claims)


class RunsTwice(Null):
    """Runs the first job of each claim again."""

    name = "runs-twice"

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        lines = super()._claim(spool, claimed)
        return [*lines, *lines[:1]]


class RunsBackwards(Null):
    """Runs what it has claimed in the opposite order, which the contract allows."""

    name = "runs-backwards"

    def _claim(self, spool: BinaryIO, claimed: BinaryIO) -> list[bytes]:
        return super()._claim(spool, claimed)[::-1]


class WrongResults(Null):
    """Has another result for one job."""

    name = "wrong-results"

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        found = super().results(ids)
        return {id: -1 if id == 603 else result for id, result in found.items()}


class LosesResults(Null):
    """Keeps no results, and says that it does."""

    name = "loses-results"

    def results(self, ids: Sequence[int]) -> Mapping[int, int]:
        return {}


class LeavesProcess(Null):
    """Its pool ends, a process that it has started does not."""

    name = "leaves-process"

    def run_pool(self) -> None:
        subprocess.Popen(["sleep", "300"], start_new_session=True)
        super().run_pool()


class LeavesFiles(Null):
    """Tears nothing down."""

    name = "leaves-files"

    def teardown(self) -> None:
        pass


class Rejects(Null):
    """Refuses a job, and answers not at all for another."""

    name = "rejects"

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        for job in jobs:
            if job.id == 605:
                yield Submission(job.id, "rejected")
            elif job.id != 601:
                yield from super().submit([job])


class Counts(Null):
    """Says that one job is left when none is."""

    name = "counts"

    def depth(self) -> int:
        return super().depth() + 1


class Dies(Null):
    """Its pool ends with an error as soon as it has begun."""

    name = "dies"

    def run_pool(self) -> None:
        raise RuntimeError("no luck")


class Down(Null):
    """Its server does not answer."""

    name = "down"

    def setup(self) -> None:
        raise AdapterError("Nothing at 127.0.0.1:1 cannot be used: start it")


class Unfenced(RawRedis):
    """Settles a job whoever has it by now."""

    name = "unfenced"

    def run_pool(self) -> None:
        raw_redis._SETTLE = raw_redis._SETTLE.replace("tokens[i] == ARGV[1]", "payloads[i]")
        super().run_pool()


BROKEN = {
    contender.name: f"{__name__}:{contender.__name__}"
    for contender in (
        AcksEarly,
        RunsTwice,
        RunsBackwards,
        WrongResults,
        LosesResults,
        LeavesProcess,
        LeavesFiles,
        Rejects,
        Counts,
        Dies,
        Down,
        Unfenced,
    )
}
"""As in `adapters.registry`."""
