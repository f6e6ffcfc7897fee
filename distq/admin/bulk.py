"""Cancel, replay, remove and prune by filter, in bounded batches. As steps.

What arrives while they work is left alone, so they end; they go on behind what they could not change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack

from distq.admin.overview import time_of
from distq.checks import check, is_text, optional, seconds, whole
from distq.errors import ConfigurationError
from distq.job import Filter, JobRecord, JobState, rank
from distq.steps import Steps, do
from distq.storage import Op, Storage

T = TypeVar("T")

BATCH = 500
"""Jobs that one operation finds and changes at most."""

FEW = 50
"""The same where nobody knows how large they are."""

BYTES = 8 * 2**20
"""What the jobs that are counted may have together at once, about."""

LEEWAY = 0.01
"""Seconds by which a storage's moments may be ahead of its clock: Redis gives each job of a batch its own."""

NEW_JOBS = 10_000
"""New jobs that are passed by at most, besides ten for each that was there: so it ends, whoever enqueues."""

LONG = 10.0**10
"""Seconds that no job is old."""

MANY = 10**12
"""Jobs that no queue has."""

ENDED = (JobState.DONE, JobState.DEAD, JobState.CANCELLED)

# Jobs that move from one state to the next meanwhile are met again there.
CANCELLABLE = (JobState.SCHEDULED, JobState.READY, JobState.LEASED)
REPLAYABLE = (JobState.DEAD, JobState.CANCELLED)
REMOVABLE = (JobState.SCHEDULED, JobState.READY, *ENDED)
WAITING = (JobState.SCHEDULED, JobState.READY)


class Which(TypedDict, total=False):
    """Which jobs of a queue: its states, its task, a text in its error, older and newer than so many seconds.

    None is not given: any will do.
    """

    state: str | Collection[str] | None
    task: str | None
    text: str | None
    older: float | None
    newer: float | None


class Cancelled(NamedTuple):
    """How many jobs were cancelled at once, and how many run and were asked to end."""

    cancelled: int
    asked: int


class Replayed(NamedTuple):
    """How many jobs are ready again, and how many are not, as another job has their key."""

    replayed: int
    refused: int


def filters(
    queue: str, allowed: Sequence[JobState], default: Sequence[JobState] | None = None, **which: Unpack[Which]
) -> list[Filter]:
    """A filter for each state, in the order of `allowed`. Raises ConfigurationError for what is no filter."""
    if unknown := sorted(which.keys() - Which.__annotations__.keys()):
        names = ", ".join(Which.__annotations__)
        raise ConfigurationError(f"there is no filter {unknown[0]!r}, so nothing was done: use {names}")
    given: dict[str, Any] = {name: value for name, value in which.items() if value is not None}
    for name in given.keys() & {"task", "text"}:
        check(name, given[name], "a text that is not empty, or leave it out", lambda v: is_text(v) and v)
    for name in ("older", "newer"):
        check(name, given.setdefault(name, 0.0), "seconds, 0 or more", seconds())
    states = _states(given.pop("state", default or allowed), allowed)
    return [Filter(queue, state, **given) for state in allowed if state in states]


def _states(given: Any, allowed: Sequence[JobState]) -> set[str]:
    states = {given} if isinstance(given, str) else given
    if not states or not isinstance(states, Collection):
        raise ConfigurationError(f"state={given!r}: name a state, or several, or leave it out")
    if wrong := [state for state in states if state not in allowed]:
        raise ConfigurationError(f"state {str(wrong[0])!r} cannot be chosen here: use {', '.join(allowed)}")
    return set(states)


def find(storage: Storage, filters: Iterable[Filter], *, limit: int) -> Steps[list[JobRecord]]:
    """Up to `limit` of the jobs that the filters find. Raises ConfigurationError for what is no limit."""
    check("limit", limit, "a whole number, 0 or more", whole(0))
    found: list[JobRecord] = []
    for filter in filters:
        after, more = "", True
        while more and len(found) < limit:
            page = yield from do(storage.find(filter, after=after, limit=min(BATCH, limit - len(found))))
            found += page.jobs
            after, more = page.after, bool(page.after)
    return found


def count(storage: Storage, filters: Iterable[Filter], *, most: int) -> Steps[int]:
    """How many jobs the filters find; where they must be looked at one by one, of `most` at most."""
    total = 0
    for filter in filters:
        if filter == Filter(filter.queue, filter.state):
            total += (yield from do(storage.counts(filter.queue))).get(filter.state, 0)
        else:
            total += yield from _count(storage, filter, most)
    return total


def _count(storage: Storage, filter: Filter, most: int) -> Steps[int]:
    """Keeps none of the jobs, and asks for fewer at once where they are large."""
    number, after, more, limit = 0, "", True, FEW
    while more and number < most:
        page = yield from do(storage.find(filter, after=after, limit=min(limit, most - number)))
        number += len(page.jobs)
        size = sum(len(job.payload) + len(job.body) for job in page.jobs)
        limit = min(BATCH, max(FEW, BYTES * len(page.jobs) // max(size, 1)))
        after, more = page.after, bool(page.after)
    return number


def cancel(storage: Storage, filters: Iterable[Filter], *, reason: bytes) -> Steps[Cancelled]:
    """Cancel what the filters find."""
    cancelled, asked = 0, set[str]()

    def note(ids: Sequence[str], states: Mapping[str, JobState]) -> None:
        nonlocal cancelled
        cancelled += sum(state is JobState.CANCELLED for state in states.values())
        asked.update(job_id for job_id, state in states.items() if state is JobState.LEASED)

    for filter in filters:
        yield from _each(storage, filter, lambda ids: storage.cancel(ids, reason=reason), note)
    return Cancelled(cancelled, len(asked))


def replay(storage: Storage, filters: Iterable[Filter]) -> Steps[Replayed]:
    """Make what the filters find ready again, tries and crashes at 0."""
    replayed = refused = 0

    def note(ids: Sequence[str], ready: Collection[str]) -> None:
        nonlocal replayed, refused
        replayed += len(ready)
        refused += len(ids) - len(ready)

    for filter in filters:
        yield from _each(storage, filter, storage.replay, note)
    return Replayed(replayed, refused)


def remove(storage: Storage, filters: Iterable[Filter]) -> Steps[int]:
    """Forget what the filters find. Returns how many jobs that were; what was leased meanwhile is not."""
    removed = 0

    def note(ids: Sequence[str], gone: Collection[str]) -> None:
        nonlocal removed
        removed += len(gone)

    for filter in filters:
        yield from _each(storage, filter, storage.remove, note)
    return removed


def _each(
    storage: Storage, filter: Filter, act: Callable[[list[str]], Op[T]], note: Callable[[list[str], T], None]
) -> Steps[None]:
    """Act in batches on the jobs that a filter finds and that were there at the start."""
    there = (yield from do(storage.counts(filter.queue))).get(filter.state, 0)
    start = LEEWAY + (yield from time_of(storage, filter.queue))
    # Where new jobs lie between the old ones only their numbers say that it is over.
    left = there if filter.state is JobState.SCHEDULED else MANY
    looks = NEW_JOBS + 10 * there
    after, more = "", there > 0
    while more and left > 0 and looks > 0:
        page = yield from do(storage.find(filter, after=after, limit=BATCH))
        ids = [record.id for record in page.jobs if _came(record) <= start][:left]
        if ids:
            note(ids, (yield from do(act(ids))))
        left, looks = left - len(ids), looks - max(len(page.jobs), 1)
        after, more = page.after, bool(page.after) and not _is_past(page.jobs, start)


def _came(record: JobRecord) -> float:
    """When a job came to where it is, as far as its record says."""
    moments = (record.ended_at, record.leased_at if record.state is JobState.LEASED else None)
    return next((moment for moment in moments if moment is not None), record.enqueued_at)


def _is_past(jobs: Sequence[JobRecord], start: float) -> bool:
    """Whether all that comes after a page is new: where the order is that of coming."""
    for last in jobs[-1:]:
        if last.state is JobState.READY:
            return rank(last.ready_at or 0.0, last.priority) > start
        return last.ended_at is not None and last.ended_at > start
    return False


def prune(
    storage: Storage, queue: str, states: Iterable[JobState], *, older: float | None, beyond: int | None
) -> Steps[int]:
    """Forget the jobs that ended more than `older` seconds ago or are not among the latest `beyond`.

    Raises ConfigurationError where neither is given, or one is none.
    """
    check("older", older, "seconds, 0 or more", optional(seconds()))
    check("beyond", beyond, "a whole number, 0 or more", optional(whole(0)))
    if older is None and beyond is None:
        raise ConfigurationError("prune: which jobs? Give older=, beyond=, or both")
    pruned, age, latest = 0, LONG if older is None else older, MANY if beyond is None else beyond
    for state in states:
        left = (yield from do(storage.counts(queue))).get(state, 0)
        while left > 0:
            gone = yield from do(storage.prune(queue, state, older=age, beyond=latest, limit=BATCH))
            pruned += gone
            left = left - gone if gone == BATCH else 0
    return pruned


def count_prunable(
    storage: Storage,
    queue: str,
    states: Iterable[JobState],
    *,
    older: float | None,
    beyond: int | None,
    most: int,
) -> Steps[int]:
    """How many jobs `prune` would forget; by age it looks at `most` at most."""
    total = 0
    for state in states:
        ended = (yield from do(storage.counts(queue))).get(state, 0)
        surplus = 0 if beyond is None else max(ended - beyond, 0)
        aged = [] if older is None else [Filter(queue, state, older=older)]
        total += max(surplus, (yield from count(storage, aged, most=most)))
    return total
