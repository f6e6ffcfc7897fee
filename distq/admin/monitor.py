"""A deployment in motion: one look after the other, and what follows from their differences. As steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from distq.admin.crew import WorkerView
from distq.admin.doctor import examine_views
from distq.admin.overview import LIVE, queue_views, time_of
from distq.admin.views import QueueView, View, moment
from distq.admin.wording import plural, spell
from distq.finding import Finding, Severity
from distq.job import JobState, OutcomeKind, Presence, Tallies
from distq.steps import Steps, do
from distq.storage import Storage

KEPT = 600
"""Looks that are remembered."""

SMOOTH = 5.0
"""Seconds over which the rates that are shown are averaged."""

SHARE_WINDOW = 60.0
"""Seconds over which the share of attempts that fail is taken; workers tell of theirs every five."""

MOST = 5000
"""Ended jobs that one look counts at most, of a queue and a state: a rate follows from fewer, too."""

CARE = 10.0
"""Seconds between two examinations."""

BEHIND = 60.0
"""Seconds that the next job of a queue has waited where it is behind."""

FEW = 20
"""Attempts of which a share says nothing."""

SILENT = 60.0
"""Seconds after which a worker process that was not seen is not spoken of any more."""

ENDED = (JobState.DONE, JobState.DEAD, JobState.CANCELLED)
DEPTH = (JobState.READY, JobState.SCHEDULED, JobState.LEASED)
_FAILED = (OutcomeKind.RETRY, OutcomeKind.DEAD)


class Rates(View):
    """Jobs a second that came and that ended, and the share of the last minute's attempts that failed."""

    enqueued: float
    done: float
    dead: float
    cancelled: float
    failing: float | None


class QueueStatus(QueueView):
    """A queue and its rates; None at the first look, which has nothing to compare with."""

    rates: Rates | None = None


class Trouble(View):
    """What somebody should look at: in which queue, of which kind, and the command that mends it."""

    severity: Severity
    kind: str
    queue: str
    what: str
    why: str
    remedy: str

    @classmethod
    def of(cls, finding: Finding) -> Trouble:
        """The view of a finding."""
        return cls(
            severity=finding.severity,
            kind=finding.kind,
            queue=finding.queue,
            what=finding.what,
            why=finding.why,
            remedy=finding.remedy,
        )


class Picture(View):
    """What there was at one moment of the storage's clock."""

    at: datetime
    queues: list[QueueStatus]
    workers: list[WorkerView]
    troubles: list[Trouble]


class Point(NamedTuple):
    """What a look saw of a queue: when, in seconds since 1970, and jobs a second since the look before."""

    at: float
    depth: int
    enqueued: float
    done: float
    dead: float
    cancelled: float


class Monitor:
    """Remembers looks. Take the steps of `look` one after the other, not at once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._points: dict[str, deque[Point]] = {}
        self._tallies: deque[tuple[float, Tallies]] = deque()
        self._seen: tuple[float, Mapping[str, int]] | None = None
        self._troubles: Sequence[Finding] = ()
        self._examined_at = float("-inf")

    def history(self, queue: str) -> Sequence[Point]:
        """What the looks saw of a queue, the latest ones."""
        return tuple(self._points.get(queue, ()))

    def look(self) -> Steps[Picture]:
        """Look at all there is."""
        now = yield from time_of(self._storage, "default")
        views = yield from queue_views(self._storage)
        seen = yield from do(self._storage.workers(within=SILENT))
        self._note_tallies(now, (yield from do(self._storage.tallies())))
        yield from self._note_points(now, views)
        crew = [worker for worker in seen if worker.seen <= LIVE]
        if now - self._examined_at >= CARE or now < self._examined_at:
            self._troubles = yield from examine_views(self._storage, views, crew)
            self._examined_at = now
        queues = [QueueStatus(**dict(view), rates=self._rates(view.name, now)) for view in views]
        found = [*self._troubles, *_silent(seen), *_late(queues), *_failing(queues)]
        return Picture(
            at=moment(now),
            queues=queues,
            workers=[WorkerView.of(worker) for worker in crew],
            troubles=[Trouble.of(finding) for finding in found if finding.severity is not Severity.OK],
        )

    # -- rates -------------------------------------------------------------------------------------

    def _note_points(self, now: float, views: Sequence[QueueView]) -> Steps[None]:
        before, self._seen = self._seen, (now, {view.name: _depth(view) for view in views})
        for name in self._points.keys() - self._seen[1].keys():
            del self._points[name]
        if before is None or now <= before[0]:
            return
        for view in views:
            point = yield from self._point(view, now, now - before[0], before[1].get(view.name, 0))
            self._points.setdefault(view.name, deque(maxlen=KEPT)).append(point)

    def _point(self, view: QueueView, now: float, lapse: float, depth: int) -> Steps[Point]:
        recent = yield from do(self._storage.recent(view.name, within=lapse, most=MOST))
        ended = {
            state: found.jobs / (found.since if found.jobs >= MOST and found.since else lapse)
            for state, found in recent.items()
        }
        came = (_depth(view) - depth) / lapse + sum(ended.values())
        done, dead, cancelled = (ended.get(state, 0.0) for state in ENDED)
        # What was purged, or replayed, is neither: then it would be less than nothing.
        return Point(now, _depth(view), max(came, 0.0), done, dead, cancelled)

    def _rates(self, queue: str, now: float) -> Rates | None:
        points = [point for point in self.history(queue) if point.at > now - SMOOTH]
        if not points:
            return None
        enqueued, done, dead, cancelled = (
            sum(values) / len(points) for values in list(zip(*points, strict=True))[2:]
        )
        failing = self._failing(queue)
        return Rates(enqueued=enqueued, done=done, dead=dead, cancelled=cancelled, failing=failing)

    def _note_tallies(self, now: float, tallies: Tallies) -> None:
        self._tallies.append((now, tallies))
        # One that is older than the window stays, for what was there at its beginning.
        while len(self._tallies) > 2 and self._tallies[1][0] <= now - SHARE_WINDOW:
            self._tallies.popleft()

    def _failing(self, queue: str) -> float | None:
        first, last = (tallies.get(queue, {}) for _, tallies in (self._tallies[0], self._tallies[-1]))
        ended = {kind: last.get(kind, 0) - first.get(kind, 0) for kind in (OutcomeKind.DONE, *_FAILED)}
        total = sum(ended.values())
        return sum(ended[kind] for kind in _FAILED) / total if total >= FEW else None


def _depth(view: QueueView) -> int:
    return sum(view.counts[state] for state in DEPTH)


def _silent(workers: Sequence[Presence]) -> list[Finding]:
    """Worker processes that were there and do not say so any more."""
    return [
        Finding(
            Severity.WARNING,
            f"worker {worker.name} on {worker.host} has not been heard of for {spell(worker.seen)}",
            "it is frozen, cut off, or dead with its supervisor; its jobs run again when their leases end",
            f"look at process {worker.pid} on {worker.host}",
            kind="silent",
        )
        for worker in workers
        if worker.seen > LIVE
    ]


def _late(queues: Sequence[QueueStatus]) -> list[Finding]:
    """Queues that are served, and behind."""
    return [
        Finding(
            Severity.WARNING,
            f"queue {queue.name}: is behind: its next job has waited {spell(queue.oldest)},"
            f" and {plural(queue.counts[JobState.READY], 'job')} could run",
            "more comes than its workers do, or they are held up",
            f"distq worker MODULE:APP --queues {queue.name}   (more of them)",
            kind="late",
            queue=queue.name,
        )
        for queue in queues
        if queue.workers and not queue.paused and queue.oldest is not None and queue.oldest > BEHIND
    ]


def _failing(queues: Sequence[QueueStatus]) -> list[Finding]:
    """Queues of whose attempts most fail."""
    return [
        Finding(
            Severity.WARNING,
            f"queue {queue.name}: {failing:.0%} of the attempts of the last minute failed",
            "they are tried again until their tries are spent, and are dead then",
            f"distq list {queue.name} --state scheduled; distq pause {queue.name} while you mend it",
            kind="failing",
            queue=queue.name,
        )
        for queue in queues
        if queue.rates and (failing := queue.rates.failing) is not None and failing >= 0.5
    ]
