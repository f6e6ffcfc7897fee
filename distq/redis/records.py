"""From what the scripts answer to what the Storage Protocol speaks of."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from distq.errors import JobExists
from distq.job import (
    AGEING,
    Attempt,
    JobRecord,
    JobState,
    Lease,
    Outcome,
    Presence,
    Recent,
    Schedule,
    Tallies,
)


class _Row(NamedTuple):
    """A job as `describe` in `scripts/_records.lua` gives it; keys.md has the formats."""

    id: bytes
    state: bytes
    place: bytes
    message: bytes | None
    token: bytes | None
    tries: bytes | None
    crashes: bytes | None
    error: bytes | None
    priority: bytes | None
    keyed: bytes | None
    cancel: bytes | None
    history: bytes | None
    progress: bytes | None
    result: bytes | None


_new_lease = partial(tuple.__new__, Lease)
"""As `Lease(…)`, in half the time."""

_NO_TOKEN = b"/0/0 0"
"""That of a lease whose token the server has evicted."""


class _Token(NamedTuple):
    worker: str
    leased_at: float
    rank: float


def job_record(answer: Sequence[bytes | None]) -> JobRecord:
    """The record of a job that is known."""
    row = _Row(*answer)  # pyright: ignore[reportArgumentType]
    record = JobRecord(
        row.id.decode(),
        "",
        JobState(row.state.decode()),
        priority=int(row.priority or 0),
        key=_key(row.keyed),
        tries=int(row.tries or 0),
        crashes=int(row.crashes or 0),
        body=row.error or b"",
        progress=row.progress or b"",
        cancelling=row.cancel is not None,
        attempts=tuple(_attempts(row.history or b"")),
    )
    if row.message is not None:
        enqueued_at, task, payload = row.message.split(b"\n", 2)
        record = record._replace(task=task.decode(), payload=payload, enqueued_at=seconds(enqueued_at))
    return _ended(record, row.result) if row.result is not None else _open(record, row)


def _open(record: JobRecord, row: _Row) -> JobRecord:
    """The record of a job that has not ended, with where it is."""
    place = seconds(row.place)
    if record.state is JobState.SCHEDULED:
        return record._replace(ready_at=place)
    ageing = record.priority * AGEING
    if record.state is JobState.READY:
        return record._replace(ready_at=place + ageing)
    token = _token(row.token or _NO_TOKEN)
    return record._replace(
        worker=token.worker, leased_at=token.leased_at, leased_until=place, ready_at=token.rank + ageing
    )


def _ended(record: JobRecord, result: bytes) -> JobRecord:
    """The record of a job that has ended; what of it has not been replaced by `result` is as it was."""
    numbers, enqueued_at, task, fence, rest = result.split(b"\n", 4)
    _, tries, crashes, priority, ended_at, _, key_size = numbers.split(b" ")
    key, body = rest[: int(key_size)], rest[int(key_size) :]
    token = _token(fence) if fence else None
    record = record._replace(
        tries=int(tries),
        crashes=int(crashes),
        ended_at=seconds(ended_at),
        worker=token.worker if token else "",
        leased_at=token.leased_at if token else None,
        body=body,
    )
    if record.state is not JobState.DONE:
        return record
    return record._replace(
        task=task.decode(),
        priority=int(priority),
        key=key.decode(),
        enqueued_at=seconds(enqueued_at) if enqueued_at else 0.0,
    )


def _attempts(history: bytes) -> Iterator[Attempt]:
    at = 0
    while at < len(history):
        head = history.index(b"\n", at)
        size, ended_at, ran, kind, token = history[at:head].split(b" ", 4)
        at = head + 1 + int(size)
        worker, leased_at, _ = _token(token)
        error = history[head + 1 : at]
        yield Attempt(kind.decode(), worker, leased_at, seconds(ended_at), float(ran), error)


def leases(answer: Sequence[Sequence[Any]]) -> list[Lease]:
    """What the lease script gives."""
    tokens, messages, charged = answer
    charges = {
        job_id: (int(tries), int(crashes))
        for job_id, tries, crashes in zip(charged[::3], charged[1::3], charged[2::3], strict=True)
    }
    found: list[Lease] = []
    head, task = b"", ""
    for job_id, token, message in zip(tokens[::2], tokens[1::2], messages, strict=True):
        if message is None:
            continue
        # Jobs that were enqueued together have the same head: to see that costs less than to look for it.
        if not head or not message.startswith(head):
            head, task = _head(message)
        tries, crashes = charges.get(job_id, (0, 0))
        lease = job_id.decode(), token.decode(), task, message[len(head) :], tries, crashes, 0.0
        found.append(_new_lease(lease))
    return found


def waited(token: str) -> float:
    """How long a job waited, from the token of its lease."""
    fence, rank = token.rsplit(" ", 1)
    return (int(fence[fence.rindex("/") + 1 :]) - float(rank)) / 1e6


def presences(answer: Sequence[bytes]) -> list[Presence]:
    """What the workers script gives."""
    values = iter(answer)
    found: list[Presence] = []
    for name, age, known, more in zip(values, values, values, values, strict=True):
        host, pid, queues, tasks, *_ = json.loads(known)
        told, _, vitals = more.partition(b"\n")
        what = tuple(queues), tuple(tasks), seconds(age), vitals, tallies(_tallied(told))
        found.append(Presence(name.decode(), host, pid, *what))
    return found


def tallies(answer: Sequence[bytes]) -> Tallies:
    """What the tallies script gives: queue and kind with a space between, number, and so on."""
    values = iter(answer)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for what, number in zip(values, values, strict=True):
        queue, kind = what.decode().split(" ")
        found[queue][kind] = int(number)
    return dict(found)


def _tallied(text: bytes) -> list[bytes]:
    """What `calls.tallies` wrote, as the tallies script would give it."""
    words = text.split()
    return [word for i in range(0, len(words), 3) for word in (words[i] + b" " + words[i + 1], words[i + 2])]


def recent(answer: Sequence[Any]) -> dict[JobState, Recent]:
    """What the recent script gives."""
    states = JobState.DONE, JobState.DEAD, JobState.CANCELLED
    found = zip(states, answer[::2], answer[1::2], strict=True)
    return {state: Recent(jobs, seconds(since)) for state, jobs, since in found if jobs}


def schedule(name: bytes, known: bytes) -> Schedule:
    """A schedule, from its name and what the hash holds of it."""
    last, paused = known.split(b" ")
    return Schedule(name.decode(), int(last), paused == b"1")


def others(answers: list[list[bytes]]) -> dict[str, str]:
    """The jobs that enqueues did not add, each with the one that is there instead. Raises JobExists."""
    found: dict[str, str] = {}
    for answer in answers:
        if answer and not answer[0]:
            raise JobExists(answer[1].decode(), answer[2].decode())
        values = map(bytes.decode, answer)
        found |= zip(values, values, strict=True)
    return found


def columns(answers: list[list[list[bytes]]]) -> Iterable[list[list[bytes]]]:
    """The first lists of all answers, and the second ones."""
    return [answer[0] for answer in answers], [answer[1] for answer in answers]


def ours(sent: Iterable[Sequence[Outcome]], answers: Iterable[list[int]]) -> set[str]:
    """The ids of the outcomes that settle scripts did not call lost by their numbers, from 1."""
    found: set[str] = set()
    for outcomes, lost in zip(sent, map(set, answers), strict=True):
        found.update([outcome.id for n, outcome in enumerate(outcomes, 1) if n not in lost])
    return found


def ids(answers: Iterable[list[bytes]]) -> set[str]:
    """The ids of all answers."""
    return {job_id.decode() for answer in answers for job_id in answer}


def served(workers: list[bytes]) -> set[str]:
    """The queues of what the workers script gives."""
    return {queue for presence in presences(workers) for queue in presence.queues}


def seconds(microseconds: bytes) -> float:
    """Seconds of microseconds that are written with or without an exponent."""
    return float(microseconds) / 1e6


def _key(keyed: bytes | None) -> str:
    return keyed.split(b" ", 2)[2].decode() if keyed else ""


def _token(token: bytes) -> _Token:
    fence, _, rank = token.decode().rpartition(" ")
    worker, _, leased_at = fence.rsplit("/", 2)
    return _Token(worker, int(leased_at) / 1e6, float(rank) / 1e6)


def _head(message: bytes) -> tuple[bytes, str]:
    """The lines before a message's payload, and the task that they name."""
    enqueued_at, task, _ = message.split(b"\n", 2)
    return enqueued_at + b"\n" + task + b"\n", task.decode()
