"""What becomes of the leases of worker processes that have died.

The storage is told at once, and again for as long as a ttl: a lease that was under way when the process
died may be committed after the first time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from distq import telemetry
from distq.app import DistQ
from distq.errors import StorageError, StorageUnavailable
from distq.job import JobState, Lease
from distq.telemetry import quiet
from distq.worker import execution
from distq.worker.slots import Begun

AGAIN = 1.0
"""Seconds between two times that the storage is told."""


@dataclass
class Death:
    """A dead process: the jobs that are charged with a crash, and those for whose hard limit it was ended."""

    worker: str
    charged: Sequence[Begun]
    overran: Sequence[Begun]
    until: float
    left: bool = False
    tried: bool = False
    told: bool = False


class Aftermath:
    """The deaths that the storage is still told of, in a thread: a silent storage keeps nobody waiting."""

    def __init__(self, app: DistQ, queues: Sequence[str], ttl: float) -> None:
        self._app, self._storage, self._queues, self._ttl = app, app.storage, queues, ttl
        self._deaths: list[Death] = []
        self._changed = threading.Condition()
        self._outage = self._finished = False
        self._thread = threading.Thread(target=self._serve, name="distq-aftermath", daemon=True)

    def add(self, worker: str, *, charged: Sequence[Begun] = (), overran: Sequence[Begun] = ()) -> None:
        """A process has died. For the pool's thread."""
        with self._changed:
            self._deaths.append(Death(worker, charged, overran, time.monotonic() + self._ttl))
            self._changed.notify_all()
        if not self._thread.ident:
            self._thread.start()

    def finish(self, until: float) -> None:
        """Wait for the last attempt, until a moment (monotonic) at most, and close the storage."""
        with self._changed:
            self._changed.wait_for(lambda: not self._untried(), max(until - time.monotonic(), 0))
            self._finished = True
            self._changed.notify_all()
            left = [death.worker for death in self._deaths if not death.told]
        if not left:
            self._storage.close()
            return
        telemetry.emit(
            "warn",
            "storage {where} was not told that {workers} ended: their leases run out, in {ttl:g} s at most",
            where=self._storage.where,
            workers=", ".join(left),
            ttl=self._ttl,
        )

    def _untried(self) -> bool:
        return not all(death.tried for death in self._deaths)

    def _called(self) -> bool:
        return self._finished or self._untried()

    # -- the thread --------------------------------------------------------------------------------

    @quiet.keeping()
    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._called, AGAIN if self._deaths else None)
                if self._finished:
                    return
                deaths = list(self._deaths)
            self._tell_all(deaths)
            with self._changed:
                for death in deaths:
                    death.tried = True
                now = time.monotonic()
                self._deaths = [death for death in self._deaths if not death.told or now < death.until]
                self._changed.notify_all()

    def _tell_all(self, deaths: Sequence[Death]) -> None:
        """Tell the storage; where it does not answer, the next round does."""
        outage = False
        for death in deaths:
            try:
                self._tell(death)
            except StorageError as error:
                outage = True
                if not self._outage and not self._finished:
                    workers = ", ".join(death.worker for death in deaths if not death.told)
                    telemetry.emit("warn", "{error}; leases of {workers} wait", error=error, workers=workers)
                self._outage = True
                if isinstance(error, StorageUnavailable):
                    break
        self._outage = outage

    def _tell(self, death: Death) -> None:
        for begun in death.overran:
            self._settle(begun)
        death.overran = ()
        for queue in self._queues:
            ids = [begun.id for begun in death.charged if begun.id.startswith(f"{queue}:")]
            self._storage.run(self._storage.forfeit(queue, worker=death.worker, begun=ids))
        if not death.left:
            self._storage.run(self._storage.leave(death.worker))
            death.left = True
        death.told = True

    def _settle(self, begun: Begun) -> None:
        """Count a failed attempt, as the process itself would have if it still could."""
        record = self._storage.run(self._storage.get(begun.id))
        if record is None or record.state is not JobState.LEASED:
            return
        lease = Lease(begun.id, begun.token, record.task, record.payload, record.tries, record.crashes)
        outcome = execution.overran(self._app, lease, cancelled=record.cancelling)
        self._storage.run(self._storage.settle([outcome], keep=self._app.result_ttl))
