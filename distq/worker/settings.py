"""How a pool of workers works: what the command line says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distq.checks import check, whole

BATCH = 500
"""Jobs that a process leases at once, where nothing else is said."""

LARGEST_BATCH = 1000
"""Jobs that one call carries on every storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are in seconds. `weights` has the queues, and how often each is asked first."""

    weights: Mapping[str, int]
    concurrency: int = 1
    batch: int = BATCH
    """Jobs that a process leases, and ends it settles, in one statement; what it holds in advance is less."""
    ttl: float = 30.0
    grace: float = 30.0
    watchdog: float = 60.0
    """How long a process may stand still before it is replaced."""
    burst: bool = False
    """End when nothing is ready and nothing runs."""
    max_jobs: int = 0
    """A process is replaced after so many jobs; 0 for never."""
    max_memory: int = 0
    """A process is replaced when it has used so many MiB; 0 for never."""
    hard_cancel: bool = False
    """Whether a running job that does not stop when it is cancelled costs its process."""

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        check("batch", self.batch, f"a whole number from 1 to {LARGEST_BATCH}", whole(1, LARGEST_BATCH))

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues to work on."""
        return tuple(self.weights)
