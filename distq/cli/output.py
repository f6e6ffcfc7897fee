"""What commands write: one JSON document, or aligned text in which nothing can move the cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from pydantic_core import to_json

from distq.admin.wording import spell
from distq.ids import unknown

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def answer(value: Any, *lines: str, json: bool) -> None:
    """What a command has to say: the value as the document, or the lines for people."""
    if json:
        typer.echo(to_json(value, indent=2, inf_nan_mode="null").decode())
    elif lines:
        typer.echo(plain("\n".join(lines)))


def plain(text: str) -> str:
    """The text with control characters written as escapes, but for new lines and tabs."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def refuse_unknown(ids: Sequence[str]) -> None:
    """Say which jobs are not known, and end the command, if there are any."""
    for job_id in ids:
        typer.echo(plain(f"distq: {unknown(job_id)}"), err=True)
    if ids:
        raise typer.Exit(1)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows under a head, in columns; numbers to the right."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    right = [all(cell.replace(",", "").isdigit() for cell in column) for column in zip(*cells, strict=True)]
    right = right or [False] * len(head)
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in [list(head), *cells]
    ]


def fields(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Names and values below each other; empty values are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"  {name.ljust(width)}  {one_line(value)}" for name, value in shown]


def clock(at: datetime | None) -> str:
    """A moment, and how far away it is."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC ({away(at)})"


def away(at: datetime) -> str:
    """How far away a moment is, by this machine's clock."""
    seconds = (datetime.now(UTC) - at).total_seconds()
    return f"{spell(seconds)} ago" if seconds >= 0 else f"in {spell(-seconds)}"


def one_line(text: str) -> str:
    """The text with new lines and tabs written as escapes."""
    return text.replace("\n", "\\n").replace("\t", "\\t")
