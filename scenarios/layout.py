"""Where a cell's processes find each other's files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The files of one cell's directory."""

    directory: Path

    @property
    def plan(self) -> Path:
        return self.directory / "plan.json"

    @property
    def cell(self) -> Path:
        return self.directory / "cell.json"

    @property
    def result(self) -> Path:
        return self.directory / "result.json"

    @property
    def jobs(self) -> Path:
        return self.directory / "jobs.csv"

    @property
    def ledger(self) -> Path:
        """The worker processes' records."""
        return self.directory / "ledger"

    @property
    def producer(self) -> Path:
        """The producer's records."""
        return self.directory / "producer"

    @property
    def gate(self) -> Path:
        return self.directory / "gate"

    @property
    def log(self) -> Path:
        """What the pool printed."""
        return self.directory / "pool.log"

    def create(self) -> None:
        """Make the directories."""
        for folder in (self.ledger, self.producer, self.gate):
            folder.mkdir(parents=True, exist_ok=True)
