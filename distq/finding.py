"""What an examination finds. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters; a problem is what loses jobs or keeps them from running."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, why it matters, and the command that mends it.

    What concerns a queue says which, and of which kind it is: `paused`, `dead`, …
    """

    severity: Severity
    what: str
    why: str = ""
    remedy: str = ""
    kind: str = ""
    queue: str = ""


LARGE_SKEW = 2.0
"""Seconds between two clocks that people will notice."""


def clock(skew: float) -> Finding:
    """By how many seconds the storage's clock is ahead of ours."""
    if abs(skew) <= LARGE_SKEW:
        return Finding(
            Severity.OK, f"clocks: the storage's and this machine's agree within {abs(skew):.1f} s"
        )
    return Finding(
        Severity.WARNING,
        f"clocks: the storage's is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
        "no lease depends on it, but run_at=, cron and all times shown are by the storage's",
        "timedatectl set-ntp true   (on both machines)",
    )


def hints(mechanism: str, *, arrive: bool, remedy: str) -> Finding:
    """Whether what one connection says is heard by another."""
    if arrive:
        return Finding(Severity.OK, f"wake-ups: {mechanism} arrives")
    return Finding(
        Severity.WARNING,
        f"wake-ups: {mechanism} does not arrive, so polling is used",
        "jobs start up to a second later, and cancellations of running jobs and results come later too",
        remedy,
    )


def unseen(subject: str, error: object) -> Finding:
    """What could not be looked at."""
    reason = " ".join(str(error).split())
    return Finding(Severity.NOTE, f"{subject}: could not be looked at: {reason}")
