"""A plausible run folder made from a seed: ten contenders, three blocks, with every kind of failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scenarios.accounts import Record
from scenarios.catalogue import SCENARIOS, Setting
from scenarios.output import Output
from scenarios.plan import Result

SEED = 20250101
RUN_ID = "20250101T120000Z-burst"
BLOCKS = 3
DEADLINE_S = 2.0
ORIGIN_NS = 12_000_000_000_000_000
"""Past 2^53, as on a machine that has been up for 104 days: a float64 would lose nanoseconds."""

ENQUEUE_AND_DRAIN = {  # jobs/s a sender pushes, jobs/s two workers drain
    "null": (900_000, 240_000),
    "raw-postgres": (250_000, 90_000),
    "raw-redis": (300_000, 210_000),
    "distq-postgres": (120_000, 30_000),
    "distq-redis": (140_000, 52_000),
    "celery-postgres": (700, 260),
    "celery-redis": (2_400, 850),
    "celery-rabbitmq": (2_900, 1_500),
    "rabbitmq-postgres": (16_000, 5_200),
    "rabbitmq-redis": (16_000, 9_800),
}
UNAVAILABLE = ("rabbitmq-postgres", "no RabbitMQ server: apt-get install rabbitmq-server, or give --amqp-url")
FAILED = ("rabbitmq-redis", "worker exited with status 1 before the first job; see cells/b2/pool.log")


def write_run(directory: Path, *, scenario: str = "burst", jobs: tuple[int, ...] = (100, 1000)) -> Path:
    """Write a run's folder as the runner does, but for its plots; the same bytes each time."""
    random = np.random.default_rng(SEED)
    output = Output(directory)
    output.create()
    for count in jobs:
        for block in range(1, BLOCKS + 1):
            for adapter in random.permutation(list(ENQUEUE_AND_DRAIN)):
                output.add(*_cell(random, scenario, str(adapter), count, block))
    output.write_manifest(_manifest(scenario))
    return directory


def _cell(
    random: np.random.Generator, scenario: str, adapter: str, count: int, block: int
) -> tuple[Record, pd.DataFrame | None]:
    shape = SCENARIOS[scenario].shape
    steady = {"rate": 200.0, "schedule": "poisson"} if shape == "steady" else {}
    setting = Setting.model_validate(
        {"scenario": scenario, "shape": shape, "jobs": count, "payload_bytes": 64, "deadline_s": DEADLINE_S}
        | steady
    )
    told = {"cell": f"b{block}-{adapter}-{count}", "block": block, "adapter": adapter, "setting": setting}
    record = Record(**told, tier="production", seed=SEED)
    if adapter == UNAVAILABLE[0]:
        return record.model_copy(update={"unavailable": UNAVAILABLE[1]}), None
    if adapter == FAILED[0] and block == 2:
        return record.model_copy(update={"result": Result(failures=[FAILED[1]])}), None
    frame = _moments(random, adapter, count, filled=shape == "backlog")
    if adapter == "celery-redis" and block == 2:
        frame.loc[0, "finishes"] = 2
    cost = count / ENQUEUE_AND_DRAIN[adapter][1]
    measured = {
        "worker_cpu_s": 1.6 * cost * random.uniform(0.95, 1.05),
        "peak_rss_mb": random.uniform(60, 180),
    }
    if adapter != "null":
        measured["broker_cpu_s"] = 0.3 * cost * random.uniform(0.9, 1.1)
    if shape == "backlog":
        measured["startup_s"] = 0.4
    late = bool(frame["finished_ns"].isna().any())
    result = Result(began_ns=int(frame["intended_ns"].min()), timeout=late, measured=measured)
    return record.model_copy(update={"result": result}), frame


def _moments(random: np.random.Generator, adapter: str, count: int, *, filled: bool) -> pd.DataFrame:
    """Jobs through a sender and two workers, each with its own rate and a little jitter.

    All are intended at once: when the sender begins, or where the queue is filled first, when it has ended.
    """
    push, drain = ENQUEUE_AND_DRAIN[adapter]
    sent = np.cumsum(random.gamma(4, 1 / (4 * push), count))
    accepted = sent + random.gamma(4, 1 / (4 * push), count)
    if filled:
        sent, accepted = sent - accepted.max(), accepted - accepted.max()
    pace = random.gamma(2, 1 / (2 * drain * random.uniform(0.93, 1.07)), count)
    earliest = np.maximum(sent, 0) + random.gamma(3, 0.0003, count)
    started = np.maximum.accumulate(np.maximum(np.cumsum(pace), earliest))
    finished = started + random.gamma(3, 0.00001, count)
    origin = ORIGIN_NS + int(random.integers(10**9))
    frame = pd.DataFrame({"job": np.arange(count)})
    frame["intended_ns"] = pd.array([origin] * count, dtype="Int64")
    moments = {"sent": sent, "accepted": accepted, "started": started, "finished": finished}
    for name, seconds in moments.items():
        frame[f"{name}_ns"] = pd.array((seconds * 1e9).astype(np.int64) + origin, dtype="Int64")
    frame["settled_ns"] = pd.array([pd.NA] * count, dtype="Int64")
    frame["pid"] = pd.array(4000 + random.integers(0, 2, count), dtype="Int64")
    frame["starts"] = frame["finishes"] = pd.array([1] * count, dtype="Int64")
    late = frame["finished_ns"] > origin + int(DEADLINE_S * 1e9)
    frame.loc[late, ["started_ns", "finished_ns", "pid", "starts", "finishes"]] = pd.NA
    return frame


def _manifest(scenario: str) -> dict[str, Any]:
    return {
        "run_id": RUN_ID,
        "scenario": scenario,
        "seed": SEED,
        "command": ["python", "-m", "scenarios.run", "--jobs", "100,1000"],
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "machine": {"cpu": "a made-up CPU", "cores": 2},
        "servers": {},
        "adapters": {name: {"promises": {}, "settings": {}} for name in ENQUEUE_AND_DRAIN},
    }
