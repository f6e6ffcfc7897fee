"""The application of tests/test_worker.py; worker processes import it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from distq import DistQ

app = DistQ(os.environ.get("DISTQ_TEST_URL", "memory://"))


def note(text: str) -> None:
    """Append a line to the test's file: what ran, and where."""
    with Path(os.environ["DISTQ_TEST_NOTES"]).open("a") as file:
        file.write(f"{text} {os.getpid()}\n")


@app.task(name="add")
def add(a: int, b: int) -> int:
    return a + b


@app.task(name="aadd")
async def aadd(a: int, b: int) -> int:
    return a + b


@app.task(name="fail", retries=1, backoff=0.0)
def fail() -> None:
    raise ValueError("always")


@app.task(name="die")
def die() -> None:
    os._exit(9)


@app.task(name="last", retries=0)
def last(seconds: float, label: str) -> str:
    note(f"begin {label}")
    time.sleep(seconds)
    note(f"end {label}")
    return label


@app.task(name="alast", retries=0)
async def alast(seconds: float, label: str) -> str:
    note(f"begin {label}")
    await asyncio.sleep(seconds)
    note(f"end {label}")
    return label


@app.task(name="spin", retries=0)
def spin(seconds: float) -> str:
    """Burns CPU without ever waiting."""
    note("begin spin")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "spun"


@app.task(name="unwritable", retries=0)
def unwritable() -> object:
    return object()


@app.task(name="leave", retries=0)
def leave() -> None:
    raise SystemExit(3)


class Shy(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@app.task(name="shy", retries=0)
def shy() -> None:
    raise Shy


@app.task(name="sabotage", retries=0)
def sabotage() -> None:
    """Break the first worker's own I/O thread, as a bug of distq's would."""
    if Path(os.environ["DISTQ_TEST_NOTES"]).exists():
        return
    note("sabotage")
    app.storage.settle = None  # pyright: ignore[reportAttributeAccessIssue]
