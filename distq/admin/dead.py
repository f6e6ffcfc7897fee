"""Dead letters, grouped by what they died of. As steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic_core import to_json

from distq.admin.listing import CHUNK
from distq.admin.views import View, moment
from distq.job import Filter, JobRecord, JobState
from distq.messages import decode_error
from distq.steps import Steps, do
from distq.storage import Storage

SAMPLE = 500
"""Dead jobs of a queue that are looked at, the latest ones."""

MOST = 1_000
"""The same of all queues together."""

BYTES = 8 * 2**20
"""What the jobs that are looked at may have together, of a queue."""

SHOWN = 3
"""Different messages that a group shows."""

LONGEST = 200
"""Characters of a message that are shown."""


class DeadGroup(View):
    """Jobs of a queue and a task that died of one type of error: how many of those that were looked at.

    `text` finds all of the group, as the filter of that name together with the queue and the task. It is
    None where the error is not as distq writes it.
    """

    queue: str
    task: str
    type: str
    number: int
    latest: datetime
    messages: list[str]
    text: str | None


class DeadLetters(View):
    """The groups, the largest first; and of which queues only the latest dead jobs were looked at."""

    groups: list[DeadGroup]
    partial: list[str]


def dead_letters(storage: Storage, names: Iterable[str] = ()) -> Steps[DeadLetters]:
    """The dead jobs of these queues, or of all that there are."""
    queues = list(names) or sorted((yield from do(storage.queues())))
    groups: dict[tuple[str, str, str], DeadGroup] = {}
    looks = yield from _latest(storage, queues)
    for queue, look in looks.items():
        for job in look.jobs:
            group = _group(queue, job)
            place = (queue, job.task, group.type)
            groups[place] = _together(groups[place], group) if place in groups else group
    partial = [queue for queue, look in looks.items() if look.more]
    ordered = sorted(groups.values(), key=lambda group: (-group.number, group.queue, group.task, group.type))
    return DeadLetters(groups=ordered, partial=partial)


@dataclass
class _Look:
    """What was seen of a queue's dead jobs, the latest first, and whether there are more."""

    jobs: list[JobRecord] = field(default_factory=list[JobRecord])
    after: str = ""
    more: bool = True
    size: int = 0

    @property
    def goes_on(self) -> bool:
        return self.more and len(self.jobs) < SAMPLE and self.size < BYTES


def _latest(storage: Storage, queues: Sequence[str]) -> Steps[dict[str, _Look]]:
    """The latest dead jobs of queues. Each queue gives some, and who has more gives more, in turns."""
    looks = {queue: _Look() for queue in queues}
    limit, going = CHUNK, list(queues)
    while going:
        for queue in going:
            look = looks[queue]
            wanted = min(limit, SAMPLE - len(look.jobs))
            which = Filter(queue, JobState.DEAD)
            page = yield from do(storage.find(which, after=look.after, limit=wanted, latest=True))
            look.jobs += [job._replace(payload=b"") for job in page.jobs]  # all queues' together are much
            look.size += sum(len(job.payload) + len(job.body) for job in page.jobs)
            look.after, look.more = page.after, bool(page.after)
        left = MOST - sum(len(look.jobs) for look in looks.values())
        going = [queue for queue in going if looks[queue].goes_on]
        limit = min(CHUNK * 4, left // max(len(going), 1))
        if limit <= 0:
            break
    return looks


def _group(queue: str, job: JobRecord) -> DeadGroup:
    """The group that a job would be alone."""
    type, message, text = _error(job.body)
    first = next(iter(message.strip().splitlines()), "")[:LONGEST]
    return DeadGroup(
        queue=queue,
        task=job.task,
        type=type,
        number=1,
        latest=moment(job.ended_at or 0.0),
        messages=[first] if first else [],
        text=text,
    )


def _error(body: bytes) -> tuple[str, str, str | None]:
    """The type and the message of an error, and with what its encoded form begins."""
    try:
        error = decode_error(body)
    except (ValueError, TypeError):
        return "Unknown", body.decode(errors="replace"), None
    start = to_json({"type": error.type})[:-1] + b","
    return error.type, error.message, start.decode() if body.startswith(start) else None


def _together(group: DeadGroup, other: DeadGroup) -> DeadGroup:
    messages = list(dict.fromkeys([*group.messages, *other.messages]))[:SHOWN]
    return group.model_copy(
        update={
            "number": group.number + other.number,
            "latest": max(group.latest, other.latest),
            "messages": messages,
            "text": group.text if other.text else None,
        }
    )
