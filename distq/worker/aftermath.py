"""What becomes of the leases of worker processes that have died.

The storage is told at once, and again for as long as a ttl: a lease that was under way when the process
died may be committed after the first time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from distq import telemetry
from distq.app import DistQ
from distq.errors import StorageError
from distq.job import JobState, Lease
from distq.worker import execution
from distq.worker.slots import Begun


@dataclass
class Death:
    """A dead process: the jobs that are charged with a crash, and those for whose hard limit it was ended."""

    worker: str
    charged: Sequence[Begun]
    overran: Sequence[Begun]
    until: float
    left: bool = False


class Aftermath:
    """The deaths that the storage is still told of. For the pool's thread."""

    def __init__(self, app: DistQ, queues: Sequence[str], ttl: float) -> None:
        self._app, self._storage, self._queues, self._ttl = app, app.storage, queues, ttl
        self._deaths: list[Death] = []

    def add(self, worker: str, *, charged: Sequence[Begun] = (), overran: Sequence[Begun] = ()) -> None:
        """A process has died."""
        self._deaths.append(Death(worker, charged, overran, time.monotonic() + self._ttl))

    def tell(self) -> None:
        """Tell the storage; where it does not answer, the next call does."""
        for death in list(self._deaths):
            try:
                self._tell(death)
            except StorageError as error:
                telemetry.emit("warn", "{error}; leases of {worker} wait", error=error, worker=death.worker)
                continue
            if time.monotonic() > death.until:
                self._deaths.remove(death)

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

    def _settle(self, begun: Begun) -> None:
        """Count a failed attempt, as the process itself would have if it still could."""
        record = self._storage.run(self._storage.get(begun.id))
        if record is None or record.state is not JobState.LEASED:
            return
        lease = Lease(begun.id, begun.token, record.task, record.payload, record.tries, record.crashes)
        outcome = execution.overran(self._app, lease, cancelled=record.cancelling)
        self._storage.run(self._storage.settle([outcome], keep=self._app.result_ttl))
