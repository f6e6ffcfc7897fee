"""The application of tests/test_pool.py: what happens in the life of a worker process."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from distq import CurrentJob, DistQ, current_job
from distq.hooks import Call
from distq.storage import Op
from tests.worker_app import note

app = DistQ(os.environ.get("DISTQ_TEST_URL", "memory://"))
opened: dict[str, int] = {}


@app.on_start
def open_one() -> None:
    opened["sync"] = os.getpid()
    if noted("refuse"):
        raise RuntimeError("the test says so")
    note("start")


@app.on_start
async def open_other() -> None:
    await asyncio.sleep(0)
    opened["async"] = os.getpid()
    note(f"astart {threading.current_thread().name}")


@app.on_stop
def close_one() -> None:
    note("stop")


@app.on_stop
async def close_other() -> None:
    note(f"astop {threading.current_thread().name}")


@app.on_error
def tell(job: CurrentJob, error: BaseException) -> None:
    note(f"error {job.task} {job.attempt} {error}")
    raise RuntimeError("a hook that fails")


@app.around_run
def around(job: CurrentJob) -> Iterator[None]:
    if job.task != "tick":
        note(f"before {job.task}")
    yield
    if job.task != "tick":
        note(f"after {job.task}")


@app.around_enqueue
def mark(call: Call) -> Iterator[None]:
    call.headers["tenant"] = "t1"
    yield


@app.task(name="pid")
def pid(seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return os.getpid()


@app.task(name="whose")
def whose() -> list[object]:
    return [current_job().headers["tenant"], opened == dict.fromkeys(("sync", "async"), os.getpid())]


@app.task(name="awhose")
async def awhose() -> list[object]:
    return [current_job().headers["tenant"], opened == dict.fromkeys(("sync", "async"), os.getpid())]


@app.task(name="fail", retries=1, backoff=0)
def fail() -> None:
    raise ValueError("always")


@app.task(name="afail", retries=0)
async def afail() -> None:
    raise ValueError("always")


@app.task(name="grab", retries=0)
def grab(seconds: int) -> None:
    """C code that does not let go of the interpreter."""
    note("grab")
    ctypes.PyDLL(None).sleep(seconds)


@app.task(name="nap", retries=0)
def nap(label: str) -> str:
    note(f"begin {label}")
    for _ in range(6000):
        time.sleep(0.01)
    return label


@app.task(name="deaf", retries=0)
def deaf() -> None:
    """Nothing can interrupt it."""
    note("begin deaf")
    time.sleep(600)


@app.task(name="hog")
def hog(mebibytes: int) -> int:
    return len(bytearray(mebibytes * 2**20)) and os.getpid()


@app.task(name="freeze_io")
def freeze_io() -> int:
    """Lets the first worker's I/O thread wait for ever, as a connection that is half dead does."""
    if not noted("hang"):
        note("hang")
        app.storage.settle = lambda outcomes, *, keep: time.sleep(600)  # pyright: ignore
    return os.getpid()


@app.task(name="blind")
def blind(curable: bool) -> int:
    """Lets this worker get no more jobs, until it connects anew or for ever."""
    storage = app.storage
    lease, close = storage.lease, storage.close

    def cure() -> None:
        note("cure")
        storage.lease = lease  # pyright: ignore
        close()

    storage.lease = lambda queue, **how: Op(storage.counts(queue).request, lambda _: [])  # pyright: ignore
    if curable:
        storage.close = cure  # pyright: ignore
    return os.getpid()


@app.cron("* * * * * *")
@app.task(name="tick", queue="ticks")
def tick() -> None:
    moment = current_job().tick
    note(f"tick {moment.timestamp():.0f}" if moment else "no tick")


def noted(text: str) -> bool:
    path = Path(os.environ["DISTQ_TEST_NOTES"])
    return path.exists() and text in path.read_text()
