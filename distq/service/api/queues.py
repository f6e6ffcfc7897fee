"""Queues: what is in them, their switches, and what is done to many of their jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from distq.admin import bulk
from distq.admin.bulk import Which
from distq.admin.monitor import QueueStatus
from distq.admin.overview import queue_views
from distq.job import Filter, JobState
from distq.messages import encode_cancellation
from distq.service.api.common import ABSENT, FORBIDDEN, READING, WRITING, age, check_text, routes_of
from distq.service.core import Service
from distq.service.errors import NotFound
from distq.service.routing import Here, Operator, Reader
from distq.service.schemas import (
    Cancellation,
    CancelledView,
    MatchingView,
    Purge,
    PurgedView,
    QueueName,
    QueuesView,
    QueueSwitch,
    Repetition,
    ReplayedView,
    Selection,
)
from distq.steps import Steps, arun

MOST = 10_000
"""Jobs that are counted one by one at most, of each state."""

Name = Annotated[QueueName, Path(description="A queue.")]


class MatchingQuery(Selection):
    """Which jobs are counted."""

    state: list[JobState] = Field([], description="In these states; in any by default.")


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = routes_of(service, "queues")
    routes.get("/queues", responses=READING)(list_queues)
    routes.get("/queues/{queue}", responses=READING | ABSENT)(queue)
    routes.post("/queues/{queue}/pause", responses=WRITING)(pause_queue)
    routes.post("/queues/{queue}/resume", responses=WRITING)(resume_queue)
    routes.get("/queues/{queue}/matching", responses=READING | FORBIDDEN)(matching)
    routes.post("/queues/{queue}/cancel", responses=WRITING)(cancel_matching)
    routes.post("/queues/{queue}/replay", responses=WRITING)(replay_matching)
    routes.post("/queues/{queue}/purge", responses=WRITING)(purge_matching)
    return routes


# -- looking ---------------------------------------------------------------------------------------------


async def list_queues(service: Here, visitor: Reader) -> QueuesView:
    """All queues: how many jobs are in each state, rates, the live workers. Where it takes long to count they
    are as of a moment ago, `at`; only whether they are paused is of now.
    """
    picture = await service.live.picture()
    paused = await service.storage.arun(service.storage.queues())
    return QueuesView(at=picture.at, queues=[_now(queue, paused) for queue in picture.queues])


async def queue(queue: Name, service: Here, visitor: Reader) -> QueueStatus:
    """A queue, as in the list."""
    picture = await service.live.picture()
    paused = await service.storage.arun(service.storage.queues())
    found = [status for status in picture.queues if status.name == queue]
    if found:
        return _now(found[0], paused)
    if queue not in paused:
        raise NotFound(f"queue {queue!r} has no job, no worker and no setting yet")
    (view,) = await arun(service.storage, queue_views(service.storage, [queue]))
    return QueueStatus(**dict(view))


def _now(status: QueueStatus, paused: dict[str, bool]) -> QueueStatus:
    return status.model_copy(update={"paused": paused.get(status.name, False)})


# -- the switch ------------------------------------------------------------------------------------------


async def pause_queue(queue: Name, service: Here, visitor: Operator) -> QueueSwitch:
    """Let no job of a queue start. What runs goes on."""
    with service.audit.noting(visitor, "pause", queue=queue):
        await service.storage.arun(service.storage.pause(queue, paused=True))
    return QueueSwitch(queue=queue, paused=True)


async def resume_queue(queue: Name, service: Here, visitor: Operator) -> QueueSwitch:
    """Let jobs of a queue start again."""
    with service.audit.noting(visitor, "resume", queue=queue):
        await service.storage.arun(service.storage.pause(queue, paused=False))
    return QueueSwitch(queue=queue, paused=False)


# -- many jobs -------------------------------------------------------------------------------------------


async def matching(
    queue: Name, query: Annotated[MatchingQuery, Query()], service: Here, visitor: Reader
) -> MatchingView:
    """How many jobs there are: to ask before something is done to them."""
    check_text(visitor, query.text)
    filters = bulk.filters(queue, tuple(JobState), **_which(query, query.state))
    return await arun(service.storage, _count(service, filters))


def _count(service: Service, filters: list[Filter]) -> Steps[MatchingView]:
    number, more = 0, False
    for filter in filters:
        found = yield from bulk.count(service.storage, [filter], most=MOST + 1)
        is_plain = filter == Filter(filter.queue, filter.state)
        number += found if is_plain else min(found, MOST)
        more = more or (found > MOST and not is_plain)
    return MatchingView(number=number, more=more)


def _which(chosen: Selection, states: Sequence[str]) -> Which:
    return Which(
        state=states or None,
        task=chosen.task,
        text=chosen.text,
        older=age(chosen.older),
        newer=age(chosen.newer),
    )


def _about(queue: str, chosen: Selection) -> dict[str, object]:
    """What the audit says of it."""
    return {"queue": queue, **chosen.model_dump(exclude_defaults=True, mode="json")}


async def cancel_matching(
    queue: Name, chosen: Cancellation, service: Here, visitor: Operator
) -> CancelledView:
    """Cancel jobs of a queue: by default all that wait or run."""
    filters = bulk.filters(queue, bulk.CANCELLABLE, **_which(chosen, chosen.states))
    reason = encode_cancellation(chosen.reason)
    with service.audit.noting(visitor, "cancel", **_about(queue, chosen)) as entry:
        done = await arun(service.storage, bulk.cancel(service.storage, filters, reason=reason))
        entry.outcome = f"{done.cancelled:,} cancelled, {done.asked:,} asked to end"
    return CancelledView(**done._asdict())


async def replay_matching(queue: Name, chosen: Repetition, service: Here, visitor: Operator) -> ReplayedView:
    """Make jobs of a queue ready again: by default all that are dead."""
    filters = bulk.filters(queue, bulk.REPLAYABLE, (JobState.DEAD,), **_which(chosen, chosen.states))
    with service.audit.noting(visitor, "replay", **_about(queue, chosen)) as entry:
        done = await arun(service.storage, bulk.replay(service.storage, filters))
        entry.outcome = f"{done.replayed:,} replayed, {done.refused:,} refused"
    return ReplayedView(**done._asdict())


async def purge_matching(queue: Name, chosen: Purge, service: Here, visitor: Operator) -> PurgedView:
    """Forget jobs of a queue that nobody holds."""
    filters = bulk.filters(queue, bulk.REMOVABLE, bulk.WAITING, **_which(chosen, chosen.states))
    with service.audit.noting(visitor, "purge", **_about(queue, chosen)) as entry:
        purged = await arun(service.storage, bulk.remove(service.storage, filters))
        entry.outcome = f"{purged:,} purged"
    return PurgedView(purged=purged)
