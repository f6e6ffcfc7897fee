"""`distq top`: what goes on, as it goes on."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

from distq.admin.monitor import INTERVAL, Monitor
from distq.cli.output import answer
from distq.cli.parameters import Json, Url
from distq.cli.session import Session
from distq.cli.watch import Watch


def top(
    url: Url,
    interval: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds between two looks, at least.")
    ] = INTERVAL,
    once: Annotated[bool, typer.Option("--once", help="Print what there is, and end.")] = False,
    json: Json = False,
) -> None:
    """Show what goes on: what is wrong, the queues and their rates, the workers and what they run.

    Ends with q. Where it does not write to a terminal, or with --json, it prints once, as with --once: after
    two looks, which make a rate.

    Example: distq top
    """
    from distq.cli import drawing

    with Session.at(url) as session:
        monitor = Monitor(session.storage)
        picture = session.take(monitor.look())
        if _live() and not (once or json):
            _show(Watch(session.storage, monitor, picture, interval))
            return
        time.sleep(interval)
        picture = session.take(monitor.look())
        answer(picture, *drawing.lines(picture, session.storage.where), json=json)


def _live() -> bool:
    """Whether there is a terminal, and it can be drawn on again and again."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def _show(watch: Watch) -> None:
    """Draw what is there until somebody says to end."""
    from distq.cli import drawing
    from distq.cli.screen import Event, Screen

    with Screen() as screen:
        event = Event.DRAW
        while event is not Event.QUIT:
            watch.step(screen.wake)
            lines = drawing.draw(
                watch.picture, watch.where, *screen.size, silence=watch.silence, keys="(q quits)  "
            )
            screen.show(lines)
            event = screen.wait(watch.due)
