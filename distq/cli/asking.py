"""Asking before something is destroyed, where there is somebody to ask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import typer

from distq.admin import bulk
from distq.admin.wording import plural
from distq.cli.session import Session
from distq.job import Filter

MOST = 10_000
"""Jobs that are counted one by one for a question, at most."""


def ask(question: Callable[[], str], *, yes: bool) -> None:
    """Ask, where standard input is a terminal and `yes` was not given. A no ends the command."""
    if not yes and sys.stdin is not None and sys.stdin.isatty() and not typer.confirm(question(), err=True):
        raise typer.Exit(1)


def ask_about(session: Session, what: str, filters: Sequence[Filter], *, yes: bool) -> None:
    """Ask whether to do something to what the filters of a queue find, with the number."""

    def question() -> str:
        number = session.take(bulk.count(session.storage, filters, most=MOST))
        states = " or ".join(filter.state for filter in filters)
        return f"{what.capitalize()} {plural(number, 'job')} of queue {filters[0].queue}, {states}?"

    ask(question, yes=yes)
