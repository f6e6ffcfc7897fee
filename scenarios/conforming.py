"""What a contender keeps of its contract, seen before it is timed: `adapters.conformance`, its short form."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import suppress
from typing import Any

from adapters.base import Cell
from scenarios.guard import Guard
from scenarios.logs import last_words
from scenarios.measurement import lean_environment
from scenarios.resources import kill_contender

LIMIT_S = 120.0
"""How long the short form may take."""

_FAREWELL_S = 2.0


def observe(guard: Guard, cell: Cell) -> dict[str, Any]:
    """The promise row as it was observed, on the cell's servers, in processes of its own.

    Its `problems` say in a line each what of the contract is not kept; one is that it could not be observed.
    Who has any is looked at once more: a busy machine may have been the one that was late.
    """
    row = _observe(guard, cell, 1)
    return _observe(guard, cell, 2) if row["problems"] else row


def _observe(guard: Guard, cell: Cell, time: int) -> dict[str, Any]:
    directory = guard.directory / f"conformance-{cell.adapter}-{cell.profile}-{time}"
    directory.mkdir()
    own = cell.model_copy(
        update={"directory": directory, "namespace": _namespace(), "work": "noop", "batch": 0}
    )
    path, log = directory / "cell.json", directory / "conformance.log"
    path.write_text(own.model_dump_json())
    command = [sys.executable, "-m", "adapters.conformance", path]
    with log.open("wb") as file:
        process = guard.start(command, stdout=file, stderr=file, env=lean_environment())
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LIMIT_S)
    finally:
        _end(process)
        kill_contender(directory / "conformance" / "cell.json")
        guard.forget(process.pid)
    answer = directory / "conformance.json"
    if not answer.exists():
        return {"problems": [f"its contract could not be looked at: {last_words(log)}"]}
    return json.loads(answer.read_bytes())


def _namespace() -> str:
    return f"distq_bench_{random.SystemRandom().randrange(16**8):08x}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_FAREWELL_S)
        process.kill()
        process.wait()
