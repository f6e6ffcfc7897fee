"""A deployment in motion: one look after the other, and what follows from their differences. As steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from distq.admin.crew import WorkerView
from distq.admin.doctor import examine_view, look_into
from distq.admin.overview import LIVE, queue_views, time_of
from distq.admin.picture import Picture, QueueStatus, Rates, Trouble
from distq.admin.troubles import failing, late, silent
from distq.admin.views import QueueView, moment
from distq.finding import Finding, Severity
from distq.job import JobState, OutcomeKind, Presence, Recent, Tallies
from distq.steps import Steps, do
from distq.storage import Storage
from distq.telemetry import figures

INTERVAL = 1.0
"""Seconds between two looks, where nobody says how many."""

SHARE = 20
"""Of the time, one part in so many is spent looking, at most."""

KEPT = 600
"""Looks that are remembered."""

GAP = 120.0
"""Seconds after which a look is not compared with the one before: what happened so long ago is not now."""

SMOOTH = 5.0
"""Seconds over which the rates that are shown are averaged."""

SHARE_WINDOW = 60.0
"""Seconds over which the share of attempts that fail is taken; workers tell of theirs every five."""

MOST = 20_000
"""Ended jobs that one look counts at most, of a queue and a state: the rate of more is estimated."""

CARE = 10.0
"""Seconds between two searches for what takes queries of its own."""

FEW = 20
"""Attempts of which a share says nothing."""

SILENT = 60.0
"""Seconds after which a worker process that was not seen is not spoken of any more."""

ENDED = (JobState.DONE, JobState.DEAD, JobState.CANCELLED)
DEPTH = (JobState.READY, JobState.SCHEDULED, JobState.LEASED)
_FAILED = (OutcomeKind.RETRY, OutcomeKind.DEAD)
_WORST_FIRST = (Severity.PROBLEM, Severity.WARNING, Severity.NOTE)


class Point(NamedTuple):
    """What a look saw of a queue: when, in seconds since 1970, and jobs a second since the look before, which
    was `lapse` seconds earlier.
    """

    at: float
    depth: int
    enqueued: float
    done: float
    dead: float
    cancelled: float
    lapse: float


class Pace:
    """When to look again. To count a million jobs takes a store a while; looks are a small part of the time.

    The quickest of the last looks says how long one takes: of one alone, an outage or a busy machine may say
    anything. `interval` is in seconds.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._latest = deque([0.0], maxlen=3)

    def note(self, took: float) -> None:
        """A look has taken so many seconds; one that failed is not noted, for it took none of the store's."""
        self._latest.append(took)

    @property
    def least(self) -> float:
        """Seconds to wait where somebody waits for the next look."""
        return SHARE * min(self._latest)

    @property
    def rest(self) -> float:
        """Seconds to wait where nobody does."""
        return max(self._interval, self.least)


class Monitor:
    """Remembers looks. Take the steps of `look` one after the other, not at once. Of two rates are made where
    `lapse` seconds are between them.
    """

    def __init__(self, storage: Storage, *, lapse: float = 0.0) -> None:
        self._storage, self._lapse = storage, lapse
        self._searched: Sequence[Finding] = ()
        self._begin()

    def _begin(self) -> None:
        """Forget all that a look could be compared with."""
        self._points: dict[str, deque[Point]] = {}
        self._tallies: deque[tuple[float, Tallies]] = deque()
        self._seen: dict[str, QueueView] | None = None
        self._looked_at = self._searched_at = float("-inf")

    def history(self, queue: str) -> Sequence[Point]:
        """What the looks saw of a queue, the latest ones."""
        return tuple(self._points.get(queue, ()))

    def look(self) -> Steps[Picture]:
        """Look at all there is."""
        now = yield from time_of(self._storage, "default")
        if not self._looked_at <= now <= self._looked_at + GAP:  # so also after a clock was set back
            self._begin()
        views = yield from queue_views(self._storage)
        for view in views:
            figures.depth(view.name, view.counts)
        seen = yield from do(self._storage.workers(within=SILENT))
        self._note_tallies(now, (yield from do(self._storage.tallies())))
        yield from self._note_points(now, views)
        crew = [worker for worker in seen if worker.seen <= LIVE]
        searched = yield from self._search(now, views, crew)
        queues = [QueueStatus(**dict(view), rates=self._rates(view.name, now)) for view in views]
        standing = [finding for view in views for finding in examine_view(view)]
        found = [*standing, *searched, *silent(seen), *late(queues), *failing(queues)]
        found.sort(key=lambda finding: _WORST_FIRST.index(finding.severity))
        return Picture(
            at=moment(now),
            queues=queues,
            workers=[WorkerView.of(worker) for worker in crew],
            troubles=[Trouble.of(finding) for finding in found],
        )

    def _search(
        self, now: float, views: Sequence[QueueView], crew: Sequence[Presence]
    ) -> Steps[list[Finding]]:
        """What takes queries of its own to find, as of a moment ago."""
        if now - self._searched_at >= CARE:
            self._searched = yield from look_into(self._storage, views, crew)
            self._searched_at = now
        waiting = {view.name for view in views if _depth(view)}
        return [finding for finding in self._searched if finding.queue in waiting]

    # -- rates -------------------------------------------------------------------------------------

    def _note_points(self, now: float, views: Sequence[QueueView]) -> Steps[None]:
        """Notes all or, where the storage does not answer, none: the next look has the whole time then."""
        seen = {view.name: view for view in views}
        if self._seen is None:
            self._seen, self._looked_at = seen, now
        lapse = now - self._looked_at
        if lapse <= 0 or lapse < self._lapse:
            return
        points: dict[str, Point] = {}
        for name, view in seen.items():
            points[name] = yield from self._point(view, now, lapse, self._seen.get(name))
        for name in self._points.keys() - points.keys():
            del self._points[name]
        for name, point in points.items():
            self._points.setdefault(name, deque(maxlen=KEPT)).append(point)
        self._seen, self._looked_at = seen, now

    def _point(self, view: QueueView, now: float, lapse: float, before: QueueView | None) -> Steps[Point]:
        recent = yield from do(self._storage.recent(view.name, within=lapse, most=MOST))
        was = before.counts if before else {}
        done, dead, cancelled = (
            _ended(recent.get(state, Recent()), view.counts[state], was.get(state, 0), lapse)
            for state in ENDED
        )
        came = _depth(view) - (_depth(before) if before else 0) + done + dead + cancelled
        # Where many were purged it is less than nothing: then nothing is known of those that came.
        enqueued = max(came, 0.0) / lapse
        return Point(now, _depth(view), enqueued, done / lapse, dead / lapse, cancelled / lapse, lapse)

    def _rates(self, queue: str, now: float) -> Rates | None:
        points = [point for point in self.history(queue) if point.at > now - SMOOTH]
        if not points:
            return None
        whole = sum(point.lapse for point in points)

        def mean(of: str) -> float:
            return sum(getattr(point, of) * point.lapse for point in points) / whole

        return Rates(
            enqueued=mean("enqueued"),
            done=mean("done"),
            dead=mean("dead"),
            cancelled=mean("cancelled"),
            failing=self._share_failing(queue),
        )

    def _note_tallies(self, now: float, tallies: Tallies) -> None:
        if self._tallies and _fell(self._tallies[-1][1], tallies):
            self._tallies.clear()  # the storage was emptied, or restored
        self._tallies.append((now, tallies))
        # One that is older than the window stays, for what was there at its beginning.
        while len(self._tallies) > 2 and self._tallies[1][0] <= now - SHARE_WINDOW:
            self._tallies.popleft()

    def _share_failing(self, queue: str) -> float | None:
        first, last = (tallies.get(queue, {}) for _, tallies in (self._tallies[0], self._tallies[-1]))
        ended = {kind: last.get(kind, 0) - first.get(kind, 0) for kind in (OutcomeKind.DONE, *_FAILED)}
        total = sum(ended.values())
        return sum(ended[kind] for kind in _FAILED) / total if total >= FEW else None


def _depth(view: QueueView) -> int:
    return sum(view.counts[state] for state in DEPTH)


def _ended(recent: Recent, known: int, before: int, lapse: float) -> float:
    """How many jobs ended in a lapse, of which `known` are known still and `before` were at its beginning."""
    if recent.jobs < MOST:
        return recent.jobs
    likely = recent.jobs * lapse / recent.since if recent.since else recent.jobs
    return max(min(max(likely, known - before), known), recent.jobs)


def _fell(before: Tallies, after: Tallies) -> bool:
    return any(
        after.get(queue, {}).get(kind, 0) < number
        for queue, kinds in before.items()
        for kind, number in kinds.items()
    )
