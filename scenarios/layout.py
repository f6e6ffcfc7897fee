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
        """Named in the environment of every process of the contender: by that they are found, too."""
        return self.directory / "cell.json"

    @property
    def result(self) -> Path:
        return self.directory / "result.json"

    @property
    def warmed(self) -> Path:
        """How many jobs the warm-up ran; there once the measurement has begun."""
        return self.directory / "warmed"

    @property
    def ledger(self) -> Path:
        """The worker processes' records."""
        return self.directory / "ledger"

    @property
    def producer(self) -> Path:
        """The producers' records."""
        return self.directory / "producer"

    @property
    def began(self) -> Path:
        """When the jobs are intended from, for who sends beside the harness."""
        return self.directory / "began"

    def of_producer(self, number: int, kind: str) -> Path:
        """A file of a process that sends beside the harness."""
        return self.directory / f"producer-{number}.{kind}"

    @property
    def gate(self) -> Path:
        return self.directory / "gate"

    @property
    def harness_log(self) -> Path:
        return self.directory / "harness.log"

    @property
    def teardown_log(self) -> Path:
        return self.directory / "teardown.log"

    @property
    def pool_log(self) -> Path:
        """What the contender printed."""
        return self.directory / "pool.log"

    def create(self) -> None:
        """Make the directories."""
        for folder in (self.ledger, self.producer, self.gate):
            folder.mkdir(parents=True, exist_ok=True)
