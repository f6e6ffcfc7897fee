"""What worker processes say of themselves, and how people see it."""

from __future__ import annotations

from pydantic import ValidationError, computed_field

from distq.admin.views import View
from distq.job import Presence

SHOWN = 50
"""Running jobs that a process speaks of at most: those that have run for the longest time."""


class Activity(View):
    """A job that a worker process runs, and for how many seconds it has."""

    id: str
    task: str
    ran: float


class Timetable(View):
    """A cron schedule as the application declares it: of which task, in which queue, when, in which zone."""

    queue: str
    name: str
    task: str
    expression: str
    tz: str


class Vitals(View):
    """How a worker process is: `memory` in bytes, `held` how many leases it has, `renewed` how many seconds
    ago it last took or renewed them all.
    """

    memory: int = 0
    concurrency: int = 0
    held: int = 0
    renewed: float = 0.0
    running: tuple[Activity, ...] = ()
    crons: tuple[Timetable, ...] = ()

    def encode(self) -> bytes:
        """As a storage keeps it."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, body: bytes) -> Vitals:
        """The inverse of `encode`. What another version wrote, and this one cannot read, is left out."""
        try:
            return cls.model_validate_json(body) if body else cls()
        except ValidationError:
            return cls()


class WorkerView(View):
    """A worker process that is alive. `seen` is how many seconds ago it last said so; it was then as `vitals`
    says.
    """

    name: str
    host: str
    pid: int
    queues: list[str]
    tasks: list[str]
    seen: float
    vitals: Vitals

    @classmethod
    def of(cls, presence: Presence) -> WorkerView:
        """The view of a presence."""
        fields = presence._asdict()
        del fields["tallies"]
        return cls.model_validate(fields | {"vitals": Vitals.decode(presence.vitals)})

    @computed_field
    @property
    def lease_age(self) -> float | None:
        """How many seconds ago its leases were last renewed; None where it holds none."""
        return self.vitals.renewed + self.seen if self.vitals.held else None
