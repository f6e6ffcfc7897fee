"""The application of tests/test_worker.py; worker processes import it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from distq import Cancel, DistQ, Retry, Snooze, current_job

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


@app.task(name="brief")
def brief() -> None:
    """Takes a third of a millisecond: then a producer keeps ahead of its workers."""
    end = time.monotonic() + 0.0003
    while time.monotonic() < end:
        pass


@app.task(name="unwritable", retries=0)
def unwritable() -> object:
    return object()


@app.task(name="leave", retries=0)
def leave() -> None:
    raise SystemExit(3)


@app.task(name="garbled", retries=0)
def garbled() -> None:
    raise ValueError("cannot parse " + os.fsdecode(b"\xff"))


@app.task(name="whole", retries=2, backoff=lambda attempt: 0)
def whole() -> None:
    """Its back-off gives whole numbers."""
    raise ValueError


@app.task(name="endless", retries=1, backoff=lambda attempt: float("nan"))
def endless() -> None:
    """Its back-off gives no number."""
    raise ValueError


@app.task(name="alarmed")
def alarmed() -> str:
    """Uses a signal of its own."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    signal.sigtimedwait([], 0.05)
    return "alarmed"


@app.task(name="forking")
def forking() -> int:
    """Forks a child, and ends it as multiprocessing does."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"!")
        signal.pause()
    os.read(reader, 1)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@app.task(name="huge", retries=0)
def huge(size: int) -> str:
    return "x" * size


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


@app.task(name="resize", retries=1, backoff=60.0)
def resize(until: str) -> None:
    """Tells how far it is, then waits for a line in the notes, then fails."""
    current_job().progress(0.4, "resizing")
    while until not in Path(os.environ["DISTQ_TEST_NOTES"]).read_text():
        time.sleep(0.01)
    current_job().progress(0.8, "almost")
    raise ValueError("always")


@app.task(name="steer", retries=1)
async def steer(how: str) -> int | Retry | Snooze | Cancel:
    attempt = current_job().attempt
    note(f"{how} {attempt}")
    await asyncio.sleep(0)
    match how, attempt:
        case "retry", 1:
            return Retry(0)
        case "snooze", 1 if not worn_out():
            raise Snooze(0, "not now")
        case "cancel", _:
            raise Cancel("no longer wanted")
    return attempt


def worn_out() -> bool:
    return Path(os.environ["DISTQ_TEST_NOTES"]).read_text().count("snooze") > 3


@app.task(name="polite")
def polite(label: str) -> str:
    """Works until it is asked to stop."""
    note(f"begin {label}")
    while not current_job().should_stop():
        time.sleep(0.01)
    note(f"end {label}")
    return label


@app.task(name="anap", retries=1, backoff=0)
async def anap(label: str) -> None:
    note(f"begin {label}")
    try:
        await asyncio.sleep(60)
    finally:
        note(f"end {label}")


@app.task(name="nap", retries=1, backoff=0)
def nap(label: str) -> None:
    note(f"begin {label}")
    try:
        for _ in range(6000):
            time.sleep(0.01)
    finally:
        note(f"end {label}")


@app.task(name="stuck", retries=1, backoff=0)
def stuck(label: str) -> None:
    """Nothing can interrupt it."""
    note(f"begin {label}")
    time.sleep(60)
