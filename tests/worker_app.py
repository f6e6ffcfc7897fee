"""The application of tests/test_worker.py; worker processes import it."""

from __future__ import annotations

import os

from distq import DistQ

app = DistQ(os.environ.get("DISTQ_TEST_URL", "memory://"))


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
