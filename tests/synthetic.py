"""A plausible run folder made from a seed: ten contenders, three blocks, with every kind of failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scenarios.derived import COSTS
from scenarios.statistics import cell_latencies

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
    """Write summary.csv, jobs.csv.gz and manifest.json into `directory`; the same bytes each time."""
    random = np.random.default_rng(SEED)
    summaries: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for count in jobs:
        for block in range(1, BLOCKS + 1):
            for adapter in random.permutation(list(ENQUEUE_AND_DRAIN)):
                row, frame = _cell(random, scenario, str(adapter), count, block)
                summaries.append(row)
                frames.append(frame)
    directory.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(summaries).to_csv(directory / "summary.csv", index=False)
    pd.concat(frames).to_csv(
        directory / "jobs.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
    )
    (directory / "manifest.json").write_text(json.dumps(_manifest(scenario)))
    return directory


def _cell(
    random: np.random.Generator, scenario: str, adapter: str, count: int, block: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    status, reason = _fate(adapter, block)
    row = _settings(scenario, adapter, count, block) | {"status": status, "reason": reason}
    if status != "ok":
        return row | _numbers({}), pd.DataFrame()
    frame = _moments(random, row["cell"], adapter, count, filled=scenario == "backlog")
    begun = frame["intended_ns" if scenario == "backlog" else "sent_ns"].min()
    censored = int(frame["finished_ns"].isna().sum())
    measured = (frame["finished_ns"].max() - begun) / 1e9
    if censored:
        row |= {"status": "timeout", "reason": f"deadline of {DEADLINE_S:g} s"}
    cost = count / ENQUEUE_AND_DRAIN[adapter][1]
    return row | _numbers(
        {
            "enqueue_s": (frame["accepted_ns"].max() - frame["sent_ns"].min()) / 1e9,
            "startup_s": 0.4 if scenario == "backlog" else None,
            "measured_s": measured,
            "jobs_per_s": (count - censored) / measured,
            **cell_latencies(frame),
            "lost": 0,
            "duplicated": int(adapter == "celery-redis" and block == 2),
            "unexpected": 0,
            "censored": censored,
            "worker_cpu_s": 1.6 * cost * random.uniform(0.95, 1.05),
            "broker_cpu_s": None if adapter == "null" else 0.3 * cost * random.uniform(0.9, 1.1),
            "peak_rss_mb": random.uniform(60, 180),
        }
    ), frame


def _fate(adapter: str, block: int) -> tuple[str, str]:
    if adapter == UNAVAILABLE[0]:
        return "unavailable", UNAVAILABLE[1]
    if adapter == FAILED[0] and block == 2:
        return "failed", FAILED[1]
    return "ok", ""


def _settings(scenario: str, adapter: str, count: int, block: int) -> dict[str, Any]:
    return {
        "run_id": RUN_ID,
        "cell": f"b{block}-{adapter}-{count}",
        "block": block,
        "scenario": scenario,
        "adapter": adapter,
        "profile": "matched",
        "tier": "production",
        "jobs": count,
        "rate": 0.0,
        "workers": 2,
        "concurrency": 1,
        "batch": 0,
        "payload_bytes": 64,
        "behind": 0,
        "disturbance": "none",
        "work": "noop",
    }


def _numbers(known: dict[str, Any]) -> dict[str, Any]:
    latencies = [f"{to}_p{p}_ms" for to in ("start", "finish") for p in (50, 95, 99)]
    counts = ["lost", "duplicated", "unexpected", "censored", "negative_latencies"]
    load = ["sent_per_s", "sent_share", "sent_lag_s", "send_p50_ms", "send_p95_ms", "send_p99_ms"]
    costs = ["at_risk", "watched_s", *COSTS, "peak_rss_mb", "grown_mb"]
    times = ["enqueue_s", "startup_s", "measured_s", "jobs_per_s", "slowest_tenth"]
    columns = [*times, *load, *latencies, *counts, *costs]
    return {column: known.get(column) for column in columns} | {"seed": SEED}


def _moments(
    random: np.random.Generator, cell: str, adapter: str, count: int, *, filled: bool
) -> pd.DataFrame:
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
    frame = pd.DataFrame({"cell": cell, "job": np.arange(count)})
    frame["intended_ns"] = pd.array([origin] * count, dtype="Int64")
    moments = {"sent": sent, "accepted": accepted, "started": started, "finished": finished}
    for name, seconds in moments.items():
        frame[f"{name}_ns"] = pd.array((seconds * 1e9).astype(np.int64) + origin, dtype="Int64")
    frame["settled_ns"] = pd.array([pd.NA] * count, dtype="Int64")
    frame["pid"] = pd.array(4000 + random.integers(0, 2, count), dtype="Int64")
    frame["attempt"] = pd.array([1] * count, dtype="Int64")
    late = frame["finished_ns"] > origin + int(DEADLINE_S * 1e9)
    frame.loc[late, ["started_ns", "finished_ns", "pid", "attempt"]] = pd.NA
    return frame


def _manifest(scenario: str) -> dict[str, Any]:
    return {
        "run_id": RUN_ID,
        "scenario": scenario,
        "seed": SEED,
        "command": "python -m scenarios.run --jobs 100,1000",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "machine": {"cpu": "a made-up CPU", "cores": 2},
        "servers": {},
        "adapters": {name: {"promises": {}, "settings": {}} for name in ENQUEUE_AND_DRAIN},
    }
