"""A run's folder with all that a page can show, made from a seed: scenarios, profiles, a control, mutants.

What users and servers may write into it is hostile: `HOSTILE` is in reasons, settings and statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scenarios.accounts import Record
from scenarios.catalogue import Setting
from scenarios.controls import original
from scenarios.output import Output
from scenarios.plan import Result

SEED, BLOCKS = 7, 3
RUN_ID = "20250101T120000Z-standard"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"

PACES = {"null": 200_000, "distq-redis": 50_000, "distq-postgres": 29_000, "celery-redis": 800}
PACES |= {"celery-redis~2": 800, "rabbitmq-redis": 4_000, "rabbitmq-postgres": 2_500}
"""Jobs/s of two workers."""
FAILED, UNAVAILABLE = "rabbitmq-postgres", "rabbitmq-redis"
DRIFTING = "celery-redis"
_ORIGIN_NS = 10**15


def write_run(directory: Path, **parts: Any) -> Path:
    """Write a run's folder; the same bytes each time.

    Args:
        parts: of the manifest, in place of its own; None leaves one out.
    """
    random = np.random.default_rng(SEED)
    output = Output(directory)
    output.create()
    for block in range(1, BLOCKS + 1):
        for setting in settings():
            for adapter, pace in PACES.items():
                output.add(*_cell(random, adapter, pace, setting, block))
    output.write_manifest({key: part for key, part in (manifest() | parts).items() if part is not None})
    return directory


def settings() -> Iterator[Setting]:
    """What the contenders are measured under."""
    yield from (Setting(jobs=jobs) for jobs in (200, 2_000))
    yield Setting(jobs=2_000, profile="default")
    yield Setting(scenario="steady", shape="steady", jobs=400, rate=200.0, schedule="poisson")
    for workers in (1, 2, 4, 8, 16, 64):
        yield Setting(scenario="sweep-workers", shape="backlog", jobs=300, workers=workers)
    level = {"shape": "steady", "schedule": "poisson", "slo": "finish_p99<50ms", "jobs": 200}
    for name, rate in product(("capacity", "capacity-curve"), (400.0, 1_600.0, 6_400.0)):
        yield Setting.model_validate({"scenario": name, "rate": rate} | level)
    yield from (Setting(scenario="churn", shape="churn", jobs=1_000),)
    for change in ({}, {"batch": 10}, {"batch": 1_000}, {"workers": 1}, {"workers": 4}):
        yield Setting(scenario="sensitivity", shape="backlog", jobs=300, **change)


def _cell(
    random: np.random.Generator, adapter: str, pace: float, setting: Setting, block: int
) -> tuple[Record, pd.DataFrame | None]:
    place = "-".join(f"{value}" for value in setting.model_dump(exclude={"slo", "work"}).values())
    told = {"cell": f"b{block}-{adapter}-{place}", "block": block, "adapter": adapter, "setting": setting}
    record = Record(**told, tier="production", seed=SEED)
    if adapter == UNAVAILABLE:
        return record.model_copy(update={"unavailable": f"no RabbitMQ: {HOSTILE}"}), None
    if adapter == FAILED and block == 2:
        return record.model_copy(update={"result": Result(failures=[f"exit status 1: {HOSTILE}"])}), None
    pace *= _factor(adapter, setting) * random.uniform(0.95, 1.05)
    frame = _moments(random, setting, pace, halves=adapter == DRIFTING and setting.scenario == "churn")
    measured = {
        "worker_cpu_s": 2 * setting.jobs / pace,
        "broker_cpu_s": 0.4,
        "peak_rss_mb": 120.0,
        "log_mb": 1.5,
    }
    result = Result(began_ns=int(frame["intended_ns"].min()), timeout=False, measured=measured)
    return record.model_copy(update={"result": result}), frame


def _factor(adapter: str, setting: Setting) -> float:
    """How far the pace is from that of two workers under the matched profile."""
    if setting.profile == "default":
        return 1.0 if adapter.startswith("distq") else 1.4
    if setting.scenario == "sensitivity" and setting.batch == 10 and adapter == "distq-redis":
        return 0.3
    workers = setting.workers
    return workers / (1 + 0.1 * (workers - 1) + 0.002 * workers * (workers - 1)) / (2 / 1.104)


def _moments(random: np.random.Generator, setting: Setting, pace: float, *, halves: bool) -> pd.DataFrame:
    """Jobs through a sender and a pool; with `halves` the second half goes at a third of the pace."""
    count = setting.jobs
    sent = np.cumsum(random.exponential(1 / (setting.rate or 5 * pace), count))
    intended = sent - 20e-6 if setting.rate or setting.shape == "churn" else np.zeros(count)
    filled = setting.shape == "backlog"
    took = random.gamma(4, 1 / (4 * pace), count)
    if halves:
        took[count // 2 :] *= 3
    started = np.zeros(count)
    free = 0.0
    for job, (ready, each) in enumerate(zip(np.zeros(count) if filled else sent + 50e-6, took, strict=True)):
        started[job] = free = max(free, ready) + each
    spans = {"intended": intended, "sent": sent - filled * (sent.max() + 0.1)}
    spans |= {"accepted": spans["sent"] + 30e-6, "started": started, "finished": started + 10e-6}
    spans |= {"settled": started + 60e-6}
    frame = pd.DataFrame({"job": np.arange(count)})
    for name, seconds in spans.items():
        frame[f"{name}_ns"] = pd.array((seconds * 1e9).astype(np.int64) + _ORIGIN_NS, dtype="Int64")
    frame["pid"] = pd.array([4000] * count, dtype="Int64")
    frame["starts"] = frame["finishes"] = pd.array([1] * count, dtype="Int64")
    return frame


def manifest() -> dict[str, Any]:
    """A manifest with every part."""
    return {
        "run_id": RUN_ID,
        "scenario": "standard",
        "seed": SEED,
        "command": ["python", "-m", "scenarios.run", "--preset", "standard", "--out", HOSTILE],
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": True,
        "machine": {"cpu": "a made-up CPU", "cores": 2, "memory_mb": 8192, "python": "3.11.7"},
        "packages": {"celery": "5.5", "redis": "6.0"},
        "servers": {"redis": {"version": "7.0", "save": "", "appendfsync": "everysec", "note": HOSTILE}},
        "mutants": {"caught": [_mutant(name, caught=True) for name in ("loser", "doubler", "liar")]},
        "adapters": {name: _adapter(name) for name in PACES if name == original(name)},
    }


def _mutant(name: str, *, caught: bool) -> dict[str, Any]:
    return {
        "name": name,
        "fault": "loses a job in a thousand",
        "checker": "lost",
        "caught": caught,
        "said": HOSTILE,
    }


def missed() -> dict[str, Any]:
    """Mutants of which one was not caught."""
    return {"caught": [_mutant("loser", caught=True), _mutant("liar", caught=False)]}


def _adapter(name: str) -> dict[str, Any]:
    promises = {
        "delivery": "at least once",
        "acked": "after the run, result stored",
        "fenced": name.startswith("distq"),
        "results": f"Redis, kept a day {HOSTILE}",
        "prefetch": "4 a process",
        "batch": "1 sent, 1 acked",
        "redelivery_s": 5.0,
    }
    known = {"promises": promises, "settings": {"version": "5.5", "note": HOSTILE}}
    if name == "celery-redis":
        known["observed"] = {
            "delivery": "at most once",
            "acked": "before the run",
            "redelivery_s": None,
            "waited_s": 10.0,
            "results": "kept",
            "order": "as submitted",
            "batch": "4",
            "fenced": False,
            "problems": [f"claims at least once, but a killed job did not run again within 10 s {HOSTILE}"],
        }
    if name == "distq-redis":
        known["observed"] = {"delivery": "at least once", "acked": "after the run", "redelivery_s": 0.2}
        known["observed"] |= {
            "results": "kept",
            "order": "as submitted",
            "batch": "240 or more",
            "fenced": True,
        }
    if name != "null":
        known["unequal"] = [f"It works in batches. {HOSTILE}", "The last second may be lost."]
    return known
