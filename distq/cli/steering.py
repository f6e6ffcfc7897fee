"""`distq cancel` and `distq replay`: of jobs by id, or of those that filters find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from distq.admin import bulk
from distq.admin.bulk import Which
from distq.cli.asking import ask_about
from distq.cli.output import answer, refuse_unknown
from distq.cli.parameters import Json, Older, States, Task, Text, Url, Yes, given, which
from distq.cli.session import Session
from distq.errors import ConfigurationError
from distq.ids import check_queue
from distq.job import Filter, JobState
from distq.messages import encode_cancellation

Ids = Annotated[list[str] | None, typer.Argument(help="Jobs.", metavar="ID", show_default=False)]
Queue = Annotated[
    str | None,
    typer.Option(
        help="Jobs of this queue instead, all that the filters find.", show_default=False, callback=given
    ),
]


def cancel(
    url: Url,
    ids: Ids = None,
    queue: Queue = None,
    state: States = None,
    task: Task = None,
    text: Text = None,
    older: Older = None,
    reason: Annotated[str, typer.Option(help="Kept as the job's error.", show_default=False)] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Cancel jobs: those that wait at once; those that run are asked to end, and do not run again.

    Example: distq cancel --queue mail --task shop.send --state scheduled
    """
    chosen = _choose(ids, queue, bulk.CANCELLABLE, None, which(state, task, text, older))
    error = encode_cancellation(reason)
    with Session.at(url) as session:
        if ids:
            states = session.run(session.storage.cancel(ids, reason=error))
            words = {JobState.CANCELLED: "cancelled", JobState.LEASED: "asked to end"}
            _report(session, ids, {job_id: words[state] for job_id, state in states.items()}, json)
            return
        session.queues([filter.queue for filter in chosen[:1]])
        ask_about(session, "cancel", chosen, yes=yes)
        done = session.take(bulk.cancel(session.storage, chosen, reason=error))
    answer(done._asdict(), f"{done.cancelled:,} cancelled, {done.asked:,} asked to end", json=json)


def replay(
    url: Url,
    ids: Ids = None,
    queue: Queue = None,
    state: States = None,
    task: Task = None,
    text: Text = None,
    older: Older = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make dead jobs, or with --state cancelled ones, ready again: tries and crashes at 0, history kept.

    Example: distq replay --queue mail --text ConnectionError --older 10m
    """
    chosen = _choose(ids, queue, bulk.REPLAYABLE, (JobState.DEAD,), which(state, task, text, older))
    with Session.at(url) as session:
        if ids:
            ready = session.run(session.storage.replay(ids))
            _report(session, ids, dict.fromkeys(ready, "ready again"), json)
            return
        session.queues([filter.queue for filter in chosen[:1]])
        ask_about(session, "replay", chosen, yes=yes)
        done = session.take(bulk.replay(session.storage, chosen))
    refused = f"; {done.refused:,} are not, as another job has their key" if done.refused else ""
    answer(done._asdict(), f"{done.replayed:,} ready again{refused}", json=json)


def _choose(
    ids: Sequence[str] | None,
    queue: str | None,
    allowed: Sequence[JobState],
    default: Sequence[JobState] | None,
    which: Which,
) -> list[Filter]:
    """The filters where a queue is given. Raises ConfigurationError where not one of both is."""
    if ids and (queue or any(value is not None for value in which.values())):
        raise ConfigurationError("jobs are named by id, or by --queue and filters: leave out one of both")
    if not ids and not queue:
        raise ConfigurationError("which jobs? Give their ids, or --queue and what else they have in common")
    return bulk.filters(check_queue(queue), allowed, default, **which) if queue else []


def _report(session: Session, ids: Sequence[str], done: Mapping[str, str], json: bool) -> None:
    """Say of each job what was done, or in which state it was left, or that it is not known."""
    outcomes: dict[str, str] = {}
    for job_id in dict.fromkeys(ids):
        record = None if job_id in done else session.run(session.storage.get(job_id))
        if job_id in done or record:
            outcomes[job_id] = done.get(job_id) or f"left as it is: {record.state if record else ''}"
    value = [{"id": job_id, "outcome": outcome} for job_id, outcome in outcomes.items()]
    answer(value, *(f"{job_id}: {outcome}" for job_id, outcome in outcomes.items()), json=json)
    refuse_unknown([job_id for job_id in ids if job_id not in outcomes])
    if not done:
        raise typer.Exit(1)
