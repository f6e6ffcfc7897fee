"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

from distq.admin.bulk import Which
from distq.admin.wording import seconds_of
from distq.errors import ConfigurationError
from distq.job import JobState

_URLS = "postgresql://…?schema=distq or redis://…?prefix=distq"
_VARIABLE = "DISTQ_URL"


def given(value: str | None) -> str | None:
    """What an option was given. An empty text is refused: it is what an unset variable of a shell leaves."""
    if value == "":
        raise typer.BadParameter("it is empty; give a value, or leave it out")
    return value


Url = Annotated[str, typer.Option(envvar=_VARIABLE, help=_URLS, show_default=False)]
AppOrUrl = Annotated[
    str | None,
    typer.Option(
        help=f"{_URLS}; the application's by default, or {_VARIABLE}.", show_default=False, callback=given
    ),
]
App = Annotated[
    str | None,
    typer.Option(help="The application, as module:attribute.", show_default=False, callback=given),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Queues = Annotated[
    list[str] | None, typer.Argument(help="Queues; all by default.", metavar="QUEUE", show_default=False)
]
States = Annotated[
    list[JobState] | None,
    typer.Option(
        "--state",
        metavar="STATE",
        help="scheduled, ready, leased, done, dead or cancelled; may be repeated.",
        show_default=False,
    ),
]
Task = Annotated[str | None, typer.Option(help="Of this task.", show_default=False, callback=given)]
Text = Annotated[
    str | None,
    typer.Option(help="With this text in the error or the result.", show_default=False, callback=given),
]
Older = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Enqueued, or ended, at least so long ago: 90s, 1h, 7d.",
        show_default=False,
        callback=given,
    ),
]


def default_url(url: str | None) -> str:
    """What was given, or what the environment says. Raises ConfigurationError where neither is."""
    if found := url or os.environ.get(_VARIABLE, ""):
        return found
    raise ConfigurationError(f"no storage is named: give --url, {_VARIABLE} in the environment, or --app")


def which(states: Sequence[JobState] | None, task: str | None, text: str | None, older: str | None) -> Which:
    """The filters of a command together. Raises ConfigurationError."""
    return Which(state=states or None, task=task, text=text, older=seconds(older))


def seconds(older: str | None) -> float | None:
    """What --older says, or None where it was not given. Raises ConfigurationError."""
    try:
        return seconds_of(older) if older else None
    except ValueError as error:
        raise ConfigurationError(f"--older: {error}") from None
