"""How a pool of workers works: what the command line says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times are in seconds. `weights` has the queues, and how often each is asked first."""

    weights: Mapping[str, int]
    concurrency: int = 1
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

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues to work on."""
        return tuple(self.weights)
