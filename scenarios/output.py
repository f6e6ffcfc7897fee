"""A run's folder: rows are appended as cells end, so that what is finished stays whatever comes."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.verify import COLUMNS

SUMMARY = (
    *("run_id", "cell", "block", "scenario", "adapter", "profile", "tier", "jobs", "workers", "concurrency"),
    *("payload_bytes", "work", "status", "reason", "enqueue_s", "startup_s", "measured_s", "jobs_per_s"),
    *("start_p50_ms", "start_p95_ms", "start_p99_ms", "finish_p50_ms", "finish_p95_ms", "finish_p99_ms"),
    *("lost", "duplicated", "unexpected", "censored", "negative_latencies"),
    *("worker_cpu_s", "broker_cpu_s", "peak_rss_mb", "seed"),
)
"""The columns of summary.csv; results/README.md says what they hold."""

JOBS = ("cell", *COLUMNS, "pid", "attempt")
"""The columns of jobs.csv.gz."""


class Output:
    """Writes one run's folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._summary = directory / "summary.csv"
        self._jobs = directory / "jobs.csv.gz"
        with self._summary.open("w", newline="") as file:
            csv.writer(file).writerow(SUMMARY)
        with gzip.open(self._jobs, "wt", newline="") as file:
            csv.writer(file).writerow(JOBS)

    def add(self, row: Mapping[str, Any], jobs: pd.DataFrame | None) -> None:
        """Append a cell: its row, and a row for each of its jobs (a gzip member of its own)."""
        if jobs is not None:
            with gzip.open(self._jobs, "at", newline="") as file:
                labelled = jobs.assign(cell=row["cell"])[list(JOBS)]
                labelled.to_csv(file, header=False, index=False)
        with self._summary.open("a", newline="") as file:
            csv.DictWriter(file, SUMMARY).writerow({key: _short(value) for key, value in row.items()})

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest."""
        path = self.directory / "manifest.json"
        path.write_text(json.dumps(manifest, indent=2, default=str) + "\n")


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
