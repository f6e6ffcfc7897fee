"""What there is to say of jobs in memory."""

from __future__ import annotations

from distq.finding import Finding, Severity


def examine() -> list[Finding]:
    """It holds nothing that could be looked at."""
    return [
        Finding(
            Severity.NOTE,
            "memory: the jobs are this process's, and gone with it",
            "no other process sees them, workers neither",
            "use postgresql:// or redis:// where jobs must outlive a process",
        )
    ]
