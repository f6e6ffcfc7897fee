"""What the runner asks of a harness process, and what that answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from adapters.base import Cell
from scenarios.workload import Workload


class Plan(BaseModel):
    """One cell to measure."""

    model_config = ConfigDict(frozen=True)

    cell: Cell
    workload: Workload
    server_pids: list[int]
    """First processes of the private servers that the contender uses; empty where one was given."""


class Result(BaseModel):
    """What the harness saw that is not in the ledger."""

    began_ns: int | None = None
    """When the jobs were intended: the burst's start, the gate's opening. None: it did not come to that."""
    timeout: bool = False
    """The deadline came while jobs were still to be sent or run."""
    failures: list[str] = []
    """Why the cell is not to be used."""
    notes: list[str] = []
    """What a reader must know though all went well."""
    measured: dict[str, float] = {}
    settings: dict[str, str] = {}


class Failed(Exception):
    """The cell cannot be measured; the message says why in one line."""
