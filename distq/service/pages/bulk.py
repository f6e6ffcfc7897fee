"""Do something to many jobs: first a page that says to how many, then the deed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from fastapi import Response
from fastapi.responses import HTMLResponse
from starlette.datastructures import ImmutableMultiDict

from distq.admin import bulk
from distq.admin.wording import plural
from distq.errors import ConfigurationError
from distq.ids import split_id
from distq.job import JobState
from distq.messages import encode_cancellation
from distq.service.errors import Forbidden
from distq.service.pages.visit import Page, Visit
from distq.service.pages.wanted import ALLOWED, Search, check_words
from distq.steps import Steps, arun, do
from distq.storage import Storage

MOST = 10_000
"""Jobs that are counted one by one, where a filter asks for more than a queue and a state."""

IDS = 200
"""Jobs that are named one by one at most."""

PATIENCE = 3.0
"""Seconds that somebody is to wait; what takes longer goes on by itself, and the audit says how it went."""


class Deed(NamedTuple):
    """What is asked for: an action, and the jobs by id or by a search."""

    action: str
    ids: tuple[str, ...]
    search: Search
    reason: str

    @classmethod
    def of(cls, given: ImmutableMultiDict[str, Any]) -> Deed:
        """From a query or a form. Raises ConfigurationError, or JobNotFound for what is no id."""
        action, ids = str(given.get("action", "")), tuple(map(str, given.getlist("id")))
        if action not in ALLOWED:
            raise ConfigurationError(f"action {action!r}: use {', '.join(ALLOWED)}")
        if not ids and given.get("ticked"):
            raise ConfigurationError("no job is ticked: tick those that are meant")
        if len(ids) > IDS:
            raise ConfigurationError(f"{len(ids):,} jobs are named, more than {IDS}: use a search")
        for job_id in ids:
            split_id(job_id)
        reason = check_words("reason", str(given.get("reason", "")).strip())
        return cls(action, tuple(dict.fromkeys(ids)), Search.of(given), reason)

    @property
    def about(self) -> dict[str, Any]:
        """What the audit says of it."""
        if self.ids:
            return {"ids": list(self.ids)}
        return {name: value for name, value in self.search.query.items() if value}


class Found(NamedTuple):
    """How many jobs of a state are meant; `more` says that there may be others."""

    state: str
    number: int
    more: bool


# -- to how many -----------------------------------------------------------------------------------------


async def confirm(visit: Visit) -> Response:
    """The page that asks; a part of one for a dialog."""
    if not visit.operates:
        raise Forbidden("this token may only read")
    deed = Deed.of(visit.request.query_params)
    found = [] if deed.ids else await arun(visit.service.storage, _count(visit.service.storage, deed))
    number = len(deed.ids) + sum(each.number for each in found)
    to = visit.request.query_params.get("to", "")
    path, query = _place(visit, to, {})
    context = {
        "deed": deed,
        "number": number,
        "more": any(each.more for each in found),
        "what": _what(deed, found, number),
        "to": to,
        "back": visit.link(path, **query),
    }
    if visit.is_partial:
        return HTMLResponse(visit.fragment("_confirm.html", **context))
    return visit.show("confirm.html", **context)


def _count(storage: Storage, deed: Deed) -> Steps[list[Found]]:
    queues = yield from do(storage.queues())
    found: dict[str, int] = {}
    for filter in deed.search.filters(deed.action, sorted(queues)):
        number = yield from bulk.count(storage, [filter], most=MOST + 1)
        found[filter.state] = found.get(filter.state, 0) + number
    counted = deed.search.task or deed.search.text or deed.search.older or deed.search.newer
    return [
        Found(state, min(number, MOST) if counted else number, bool(counted) and number > MOST)
        for state, number in found.items()
        if number
    ]


def _what(deed: Deed, found: Sequence[Found], number: int) -> str:
    """`1,204 dead jobs of queue mail`."""
    if deed.ids:
        return f"job {deed.ids[0]}" if number == 1 else plural(number, "ticked job")
    parts = [f"{'more than ' if each.more else ''}{each.number:,} {each.state}" for each in found] or ["no"]
    said = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    noun = "job" if number == 1 else "jobs"
    return " ".join(filter(None, (said, noun, deed.search.words)))


# -- the deed --------------------------------------------------------------------------------------------


async def act(visit: Visit) -> Response:
    """Do it, and lead to where it began."""
    form = await visit.request.form()
    deed = Deed.of(form)
    doing = asyncio.create_task(do_it(visit, deed))
    _under_way.add(doing)
    doing.add_done_callback(_under_way.discard)
    done, _ = await asyncio.wait({doing}, timeout=PATIENCE)
    figures = doing.result() if done else {"under_way": 1}
    path, query = _place(visit, str(form.get("to", "")), {} if deed.ids else deed.search.query)
    return visit.go(path, **query, did=deed.action, **figures)


def _place(visit: Visit, to: str, query: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The page of this service to go on with, and its query: the jobs of `query` where `to` is none."""
    if not visit.is_ours(f"{visit.root}{to}"):
        return "/jobs", query
    parts = urlsplit(to)
    given = parse_qs(parts.query).items()
    return parts.path, {name: values for name, values in given if name in Search._fields}


_under_way: set[asyncio.Task[dict[str, int]]] = set()


async def do_it(visit: Visit, deed: Deed) -> dict[str, int]:
    storage = visit.service.storage
    with visit.noting(deed.action, **deed.about) as entry:
        figures = await arun(storage, _by_id(storage, deed) if deed.ids else _by_search(storage, deed))
        entry.outcome = ", ".join(f"{number:,} {name}" for name, number in figures.items())
    return figures


def _by_id(storage: Storage, deed: Deed) -> Steps[dict[str, int]]:
    match deed.action:
        case "cancel":
            states = yield from do(storage.cancel(deed.ids, reason=encode_cancellation(deed.reason)))
            asked = sum(state is JobState.LEASED for state in states.values())
            return {"done": len(states) - asked, "asked": asked, "left": len(deed.ids) - len(states)}
        case "replay":
            changed = yield from do(storage.replay(deed.ids))
        case _:
            changed = yield from do(storage.remove(deed.ids))
    return {"done": len(changed), "left": len(deed.ids) - len(changed)}


def _by_search(storage: Storage, deed: Deed) -> Steps[dict[str, int]]:
    filters = deed.search.filters(deed.action, sorted((yield from do(storage.queues()))))
    match deed.action:
        case "cancel":
            found = yield from bulk.cancel(storage, filters, reason=encode_cancellation(deed.reason))
            return {"done": found.cancelled, "asked": found.asked}
        case "replay":
            found = yield from bulk.replay(storage, filters)
            return {"done": found.replayed, "left": found.refused}
        case _:
            return {"done": (yield from bulk.remove(storage, filters))}


PAGES = (Page("/bulk", confirm), Page("/bulk", act, "POST"))
