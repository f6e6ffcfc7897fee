"""`distq purge` and `distq prune`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from distq.admin import bulk
from distq.admin.wording import plural
from distq.cli.asking import MOST, ask, ask_about
from distq.cli.output import answer
from distq.cli.parameters import Json, Older, Queues, States, Task, Text, Url, Yes, seconds, which
from distq.cli.session import Session
from distq.errors import ConfigurationError
from distq.ids import check_queue


def purge(
    url: Url,
    queue: Annotated[str, typer.Argument(help="The queue.", show_default=False)],
    state: States = None,
    task: Task = None,
    text: Text = None,
    older: Older = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Forget jobs, as if they had never been: those that are ready or scheduled, unless --state says which.

    Example: distq purge mail --state dead --older 30d
    """
    chosen = bulk.filters(check_queue(queue), bulk.REMOVABLE, bulk.WAITING, **which(state, task, text, older))
    with Session.at(url) as session:
        session.queues([queue])
        ask_about(session, "forget", chosen, yes=yes)
        removed = session.take(bulk.remove(session.storage, chosen))
    answer({"removed": removed}, f"{removed:,} forgotten", json=json)


def prune(
    url: Url,
    queues: Queues = None,
    older: Older = None,
    beyond: Annotated[
        int | None, typer.Option(min=0, help="Not among the latest so many of a state.", show_default=False)
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Forget jobs that have ended (done, dead, cancelled), by age, by count, or by both.

    Example: distq prune mail --older 7d --beyond 100000
    """
    age = seconds(older)
    if age is None and beyond is None:
        raise ConfigurationError("which ones? Give --older, --beyond, or both")
    names = [check_queue(name) for name in queues or ()]
    with Session.at(url) as session:
        names = session.queues(names)
        ask(lambda: f"Forget {_prunable(session, names, age, beyond)}?", yes=yes)
        pruned = {
            name: session.take(bulk.prune(session.storage, name, bulk.ENDED, older=age, beyond=beyond))
            for name in names
        }
    answer(pruned, *(f"queue {name}: {count:,} forgotten" for name, count in pruned.items()), json=json)


def _prunable(session: Session, names: Sequence[str], older: float | None, beyond: int | None) -> str:
    numbers = [
        session.take(
            bulk.count_prunable(session.storage, name, bulk.ENDED, older=older, beyond=beyond, most=MOST)
        )
        for name in names
    ]
    return f"{plural(sum(numbers), 'job')} of {', '.join(names) or 'no queue'}"
