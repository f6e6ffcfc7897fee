"""A run's folder: rows are appended as cells end, so that what is finished stays whatever comes."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.masking import mask, masked
from scenarios.verify import COLUMNS

SUMMARY = (
    *(
        "run_id",
        "cell",
        "block",
        "scenario",
        "adapter",
        "profile",
        "tier",
        "jobs",
        "rate",
        "workers",
        "concurrency",
    ),
    *("batch", "payload_bytes", "behind", "disturbance", "work"),
    *("status", "reason", "enqueue_s", "startup_s", "measured_s", "jobs_per_s", "slowest_tenth"),
    *("sent_per_s", "sent_share", "sent_lag_s", "send_p50_ms", "send_p95_ms", "send_p99_ms"),
    *("start_p50_ms", "start_p95_ms", "start_p99_ms", "finish_p50_ms", "finish_p95_ms", "finish_p99_ms"),
    *("lost", "duplicated", "unexpected", "censored", "negative_latencies", "at_risk"),
    *("watched_s", "producer_cpu_s", "worker_cpu_s", "broker_cpu_s", "log_mb", "commits", "transactions"),
    *("round_trips", "dead_tuples", "stored_mb", "peak_rss_mb", "grown_mb", "seed"),
)
"""The columns of summary.csv; results/README.md says what they hold."""

JOBS = ("cell", *COLUMNS, "pid", "attempt")
"""The columns of jobs.csv.gz."""


class Output:
    """Writes one run's folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.cells = 0
        """How many have been added."""
        self.logs = directory / "logs"
        """What the processes of a cell said that is not ok; absent where all are."""
        self._summary = directory / "summary.csv"
        self._jobs = directory / "jobs.csv.gz"

    def create(self) -> None:
        """Make the folder, and the tables with their heads."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._summary.open("x", newline="") as file:
            csv.DictWriter(file, SUMMARY, lineterminator="\n").writeheader()
        self._jobs.write_bytes(_packed(",".join(JOBS) + "\n"))

    def add(self, row: Mapping[str, Any], jobs: pd.DataFrame | None) -> None:
        """Append a cell: its row, and before that a row for each of its jobs (a gzip member of its own)."""
        if jobs is not None:
            rows = jobs.assign(cell=row["cell"])[list(JOBS)]
            with self._jobs.open("ab") as file:
                file.write(_packed(rows.to_csv(header=False, index=False)))
        with self._summary.open("a", newline="") as file:
            fields = {name: _field(value) for name, value in row.items()}
            csv.DictWriter(file, SUMMARY, lineterminator="\n").writerow(fields)
        self.cells += 1

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest; no password of a URL gets into it."""
        path = self.directory / "manifest.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(masked(manifest), indent=2) + "\n")
        draft.rename(path)

    def keep_log(self, cell: str, text: str) -> None:
        """Keep what the processes of a cell said, but for passwords, as `logs/<cell>.log`."""
        self.logs.mkdir(exist_ok=True)
        (self.logs / f"{cell}.log").write_text(mask(text))

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that never began."""
        if not any(self.directory.iterdir()):
            self.directory.rmdir()


def _packed(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def _field(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
