"""The promise row: what was observed of a contender, and where that is less than it claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from adapters.base import Promises

NOT_SEEN = "not seen"

UNCLAIMED_WAIT_S = 2.0
"""How long a job is waited for that is not claimed to run again."""
LONGEST_WAIT_S = 60.0
"""Who claims that it takes longer is not waited for: then it is not seen whether a job runs again."""


class PromiseRow(BaseModel):
    """What one contender under one profile did. Nothing of it is copied from its claims."""

    model_config = ConfigDict(frozen=True)

    delivery: Literal["at least once", "at most once", "not seen"] = NOT_SEEN
    """At least once: a job whose process was killed while it ran has run again."""
    acked: Literal["after the run", "before the run", "not seen"] = NOT_SEEN
    """When the broker forgets a job, by the same observation."""
    redelivery_s: float | None = None
    """Seconds from the kill to the second start; None where there was none in `waited_s`.

    Where the job ran elsewhere before the kill, its lease being short: from when it was held.
    """
    waited_s: float | None = None
    """How many seconds a second start was waited for, at most; None where there was no kill."""
    results: Literal["kept", "none", "wrong", "not seen"] = NOT_SEEN
    order: Literal["as submitted", "not kept", "not seen"] = NOT_SEEN
    """Of one worker process that runs one job at a time."""
    batch: str = NOT_SEEN
    """How many jobs one worker process took at once: "1", "100", "240 or more", "not seen"."""
    fenced: bool | None = None
    """Whether the result of a frozen worker that lost its job was refused; None: not observed."""
    duration_s: float = 0.0
    problems: tuple[str, ...] = ()
    """What is against the contract or against the contender's own claims, a line each."""


def patience_s(claims: Promises) -> float:
    """How many seconds a killed job is waited for."""
    claimed = claims.redelivery_s
    if claimed is None or claimed > LONGEST_WAIT_S:
        return UNCLAIMED_WAIT_S
    return max(2 * claimed, claimed + 5)


def broken_claims(claims: Promises, row: PromiseRow) -> Iterator[str]:
    """A line for each claim that is not what was seen."""
    if row.delivery == "at most once" and claims.delivery == "at least once":
        yield f"claims at least once, but a killed job did not run again within {row.waited_s:g} s"
    if row.delivery == "at least once" and claims.redelivery_s is None:
        yield f"claims that a killed job never runs again, but it did, after {row.redelivery_s:.1f} s"
    if row.results == "none" and claims.results != "none":
        yield f"claims that results are kept ({claims.results}), but there are none"
    if row.fenced is False and claims.fenced:
        yield "claims to be fenced, but the result of a worker that had lost its job was kept"
