"""`distq show`, `distq why` and `distq list`."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic_core import to_json

from distq.admin import bulk
from distq.admin.timeline import Event, timeline
from distq.admin.views import JobView
from distq.admin.why import explain
from distq.cli.output import answer, away, clock, fields, refuse_unknown, table
from distq.cli.parameters import Json, Older, States, Task, Text, Url, given, which
from distq.cli.session import Session
from distq.ids import check_queue
from distq.job import JobRecord, JobState

Ids = Annotated[list[str], typer.Argument(help="Jobs.", metavar="ID", show_default=False)]


def show(url: Url, ids: Ids, json: Json = False) -> None:
    """All that is known of jobs, and what has happened to them.

    Example: distq show mail:0198c0ffee0070008000000000000000
    """
    with Session.at(url) as session:
        found = [(job_id, session.run(session.storage.get(job_id))) for job_id in ids]
    records = [record for _, record in found if record]
    lines = ("\n".join(_card(record)) for record in records)
    answer([JobView.of(record) for record in records], *lines, json=json)
    refuse_unknown([job_id for job_id, record in found if record is None])


def why(url: Url, ids: Ids, json: Json = False) -> None:
    """Why jobs are not running, or what became of them, in one sentence each; and what would help.

    Example: distq why mail:0198c0ffee0070008000000000000000
    """
    with Session.at(url) as session:
        found = [session.take(explain(session.storage, job_id)) for job_id in ids]
    known = [why for why in found if why.state]
    lines = (f"{why.id}: {why.answer}" + (f"\n  {why.remedy}" if why.remedy else "") for why in known)
    answer(known, *lines, json=json)
    refuse_unknown([why.id for why in found if why.state is None])


def list_jobs(
    url: Url,
    queue: Annotated[
        str | None, typer.Argument(help="A queue; all by default.", show_default=False, callback=given)
    ] = None,
    state: States = None,
    task: Task = None,
    text: Text = None,
    older: Older = None,
    limit: Annotated[int, typer.Option(min=1, help="Jobs at most.")] = 50,
    json: Json = False,
) -> None:
    """Jobs, by queue and state; the order is that of leasing, of when they are due, or of their end.

    Example: distq list mail --state dead --text Timeout --older 1h
    """
    chosen = which(state, task, text, older)
    names = [] if queue is None else [check_queue(queue)]
    with Session.at(url) as session:
        names = session.queues(names)
        filters = [filter for name in names for filter in bulk.filters(name, tuple(JobState), **chosen)]
        found = session.take(bulk.find(session.storage, filters, limit=limit + 1))
    jobs = [JobView.of(record) for record in found[:limit]]
    more = [f"more than {limit} were found: see --limit"] if len(found) > limit else []
    answer(jobs, *(_lines(jobs) if jobs else ["no such jobs"]), *more, json=json)


def _lines(jobs: list[JobView]) -> list[str]:
    rows = [
        [job.id, job.task, job.state, _since(job), str(job.tries), job.error.line[:60] if job.error else ""]
        for job in jobs
    ]
    return table(["ID", "TASK", "STATE", "SINCE", "TRIES", "ERROR"], rows)


def _since(job: JobView) -> str:
    moments = (job.ended_at, job.leased_at if job.state is JobState.LEASED else None, job.ready_at)
    return next((away(at) for at in moments if at), "")


def _card(record: JobRecord) -> list[str]:
    job = JobView.of(record)
    progress = f"{job.progress.fraction:.0%} {job.progress.message}" if job.progress else ""
    shown = [
        ("task", job.task),
        ("state", f"{job.state}, to be cancelled" if job.cancelling else job.state),
        ("priority", str(job.priority or "")),
        ("key", job.key or ""),
        ("tries", str(job.tries or "")),
        ("crashes", str(job.crashes or "")),
        ("arguments", "" if job.arguments is None else _json(job.arguments)),
        ("headers", _json(job.headers) if job.headers else ""),
        ("progress", progress),
        ("ready", clock(job.ready_at)),
        ("leased", clock(job.leased_at)),
        ("until", clock(job.leased_until)),
        ("ended", clock(job.ended_at)),
        ("worker", job.worker or ""),
        ("result", _json(job.result) if job.state is JobState.DONE else ""),
        ("error", job.error.line if job.error else ""),
    ]
    trace = job.error.traceback.rstrip().splitlines() if job.error else []
    events = map(_event, timeline(record))
    return [job.id, *fields(shown), *(f"    {line}" for line in trace), "  timeline", *events]


def _event(event: Event) -> str:
    where = f" on {event.worker}" if event.worker else ""
    ran = f" after {event.ran:.1f} s" if event.ran else ""
    error = f": {event.error}" if event.error else ""
    return f"    {event.at:%Y-%m-%d %H:%M:%S}  {event.what}{ran}{where}{error}"


def _json(value: object) -> str:
    return to_json(value, inf_nan_mode="null").decode()
