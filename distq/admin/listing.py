"""Jobs of several queues and states, a page at a time, at a cost that has a bound. As steps."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from pydantic_core import from_json, to_json

from distq.admin.overview import time_of
from distq.errors import ConfigurationError
from distq.ids import QUEUE_NAME, check_queue
from distq.job import Filter, JobRecord, JobState
from distq.steps import Steps, do
from distq.storage import Storage

ORDER = (
    JobState.LEASED,
    JobState.READY,
    JobState.SCHEDULED,
    JobState.WAITING,
    JobState.DEAD,
    JobState.CANCELLED,
    JobState.DONE,
)
"""The states, as they follow each other in a listing."""

CHUNK = 50
"""Jobs that are read at once."""

BYTES = 4 * 2**20
"""What the jobs of a page may have together, about."""

LOOKS = 200
"""Searches that a page may take; most find their queue and state empty."""

LONG_LOOKS = 2
"""Of these, those that a storage gave up, for it had looked at thousands of jobs in vain."""


_ID = re.compile(rf"(?:({QUEUE_NAME.pattern}):)?([0-9a-fA-F]{{32}})")


class Wanted(NamedTuple):
    """Which jobs: of all queues and states where none is named. Ages are in seconds, as in `Filter`.

    `latest` says which end comes first; None is the order of leasing, or the latest first where they ended.
    """

    queues: Collection[str] = ()
    states: Collection[JobState] = ()
    task: str = ""
    text: str = ""
    key: str = ""
    older: float = 0.0
    newer: float = 0.0
    latest: bool | None = None


class Listing(NamedTuple):
    """A page. `after` leads to the next one and is empty on the last; an empty page need not be that."""

    jobs: list[JobRecord]
    after: str


class NoSuchPage(ConfigurationError):
    """No page said that: it leads to none."""


class _Place(NamedTuple):
    """Where a page ended: in which state, of which queue, behind which of its jobs."""

    state: JobState
    queue: str
    after: str

    def seal(self, secret: bytes) -> str:
        content = to_json(self)
        return urlsafe_b64encode(_mark(content, secret) + content).decode().rstrip("=")

    @classmethod
    def unseal(cls, text: str, secret: bytes) -> _Place:
        """Raises NoSuchPage for what `seal` has not made."""
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            mark, content = sealed[:12], sealed[12:]
            if not hmac.compare_digest(mark, _mark(content, secret)):
                raise ValueError("it is another's")
            state, queue, after = from_json(content)
            if not isinstance(queue, str) or not isinstance(after, str):
                raise ValueError("it is none of ours")
            return cls(JobState(state), queue, after)
        except ValueError:
            raise NoSuchPage("after: this leads to no page; begin with the first") from None

    @property
    def rank(self) -> tuple[int, str]:
        return ORDER.index(self.state), self.queue


def browse(
    storage: Storage, wanted: Wanted, *, after: str = "", limit: int = CHUNK, secret: bytes = b""
) -> Steps[Listing]:
    """A page of up to `limit` jobs, `after` another one. With a key it is the job that had it last.

    `secret` is what keeps others from making an `after`. Raises NoSuchPage for one that is none, and
    ConfigurationError for what cannot name a queue.
    """
    start = _Place.unseal(after, secret) if after else None
    names = sorted(map(check_queue, wanted.queues)) or sorted((yield from do(storage.queues())))
    if wanted.key:
        return Listing((yield from _holders(storage, wanted, names)), "")
    page = _Page(limit)
    for filter in _filters(wanted, names, start):
        resumed = start is not None and (filter.state, filter.queue) == (start.state, start.queue)
        latest = filter.state.ended if wanted.latest is None else wanted.latest
        end = yield from page.fill(storage, filter, start.after if start and resumed else "", latest)
        if end is not None:
            return Listing(page.jobs, _Place(filter.state, filter.queue, end).seal(secret))
    return Listing(page.jobs, "")


def locate(storage: Storage, text: str) -> Steps[str | None]:
    """The id of the job that a text names: by its whole id, or by its 32 hex digits alone; in either case of
    letters. None where no such job is there.
    """
    match = _ID.fullmatch(text)
    if match is None:
        return None
    queue, digits = match[1], match[2].lower()
    names = [queue] if queue else sorted((yield from do(storage.queues())))
    for name in names[:LOOKS]:
        job_id = f"{name}:{digits}"
        if (yield from do(storage.get(job_id))):
            return job_id
    return None


class _Page:
    """A page that is being filled."""

    def __init__(self, limit: int) -> None:
        self.jobs: list[JobRecord] = []
        self._limit, self._bytes, self._looks, self._long = limit, BYTES, LOOKS, LONG_LOOKS

    def fill(self, storage: Storage, filter: Filter, after: str, latest: bool) -> Steps[str | None]:
        """Add what a filter finds. Returns where the page ends; None where the filter finds no more."""
        while not self._spent:
            # A full page looks whether there is another: nobody likes to turn to an empty one.
            room = self._limit - len(self.jobs)
            limit = min(max(room, 1), CHUNK)
            page = yield from do(storage.find(filter, after=after, limit=limit, latest=latest))
            if room <= 0 and (page.jobs or page.after):
                return after
            self.jobs += page.jobs
            self._note(page.jobs, in_vain=bool(page.after) and len(page.jobs) < limit)
            after = page.after
            if not after:
                return None
            if len(self.jobs) >= self._limit:
                return after
        return after

    def _note(self, jobs: Sequence[JobRecord], *, in_vain: bool) -> None:
        self._bytes -= sum(map(_size, jobs))
        self._looks -= 1
        self._long -= in_vain

    @property
    def _spent(self) -> bool:
        return min(self._bytes, self._looks, self._long) <= 0


def _filters(wanted: Wanted, names: Sequence[str], start: _Place | None) -> Iterator[Filter]:
    """What is looked through, in order, from where the last page ended."""
    for state in ORDER:
        for name in names if not wanted.states or state in wanted.states else ():
            if start is None or _Place(state, name, "").rank >= start.rank:
                yield Filter(name, state, wanted.task, wanted.text, wanted.older, wanted.newer)


def _holders(storage: Storage, wanted: Wanted, names: Sequence[str]) -> Steps[list[JobRecord]]:
    """The jobs that had the key last, one of a queue at most."""
    found: list[JobRecord] = []
    for name in names[:LOOKS]:
        job_id = yield from do(storage.holder(name, wanted.key))
        record = (yield from do(storage.get(job_id))) if job_id else None
        if record and _matches(record, wanted, (yield from time_of(storage, name))):
            found.append(record)
    return found


def _matches(record: JobRecord, wanted: Wanted, now: float) -> bool:
    age = now - (record.enqueued_at if record.ended_at is None else record.ended_at)
    return (
        (not wanted.states or record.state in wanted.states)
        and wanted.task in ("", record.task)
        and wanted.text.encode() in record.body
        and age >= wanted.older
        and (not wanted.newer or age < wanted.newer)
    )


def _size(record: JobRecord) -> int:
    return len(record.payload) + len(record.body) + sum(len(attempt.error) for attempt in record.attempts)


def _mark(content: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"listing\0" + content, "sha256")[:12]
