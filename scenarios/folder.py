"""A run's folder, read: summary.csv, jobs.csv.gz and manifest.json, each column with its type."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios import statistics, tables
from scenarios.columns import JOBS, SUMMARY

MANIFEST = "manifest.json"

_ROOT = Path(__file__).resolve().parent.parent
_REFERENCE = "results/reference"


class ReportError(Exception):
    """A folder is no run, or a file in it is missing or broken; the message is one line: which, and how."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run as read from its folder."""

    directory: Path
    summary: pd.DataFrame
    """summary.csv: one row a cell and block; measures are float64, NaN where the field is empty."""
    manifest: Mapping[str, Any]

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """jobs.csv.gz: one row a job, nullable Int64 nanoseconds. Read on first use.

        Raises:
            ReportError: the file is missing, cut short, or lacks a column.
        """
        return _read(self.directory / "jobs.csv.gz", JOBS)

    @property
    def id(self) -> str:
        """The run's name, as all its rows carry it."""
        return str(self.summary["run_id"].iloc[0])

    @cached_property
    def seal(self) -> str:
        """What stands on each figure: the manifest's hash. The manifest holds those of the raw files."""
        digest = hashlib.sha256((self.directory / MANIFEST).read_bytes()).hexdigest()
        return f"manifest {digest[:12]}"

    @property
    def foot(self) -> str:
        """Where the figures come from, in one line: run, commit, what all cells share, how many blocks."""
        own = self.summary.loc[:, [name for name in statistics.SETTINGS if name != "jobs"]]
        shared = {name: values.iloc[0] for name, values in own.items() if values.nunique() == 1}
        commit = str(self.manifest.get("commit") or "unknown")[:10] + "-dirty" * bool(
            self.manifest.get("dirty")
        )
        blocks = f"{self.summary['block'].max()} blocks"
        return " · ".join([f"run {self.id}", f"commit {commit}", tables.describe(shared), blocks, self.seal])


def load(directory: Path | str) -> Run:
    """Read a run's folder.

    Raises:
        ReportError: it is no run, or summary.csv or manifest.json is missing, broken or lacks a column.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ReportError(f"{directory}: no such folder")
    path = directory / "summary.csv"
    summary = _read(path, SUMMARY)
    if summary.empty:
        raise ReportError(f"{path}: holds no cell")
    cell, times = Counter(summary.loc[:, "cell"]).most_common(1)[0]
    if times > 1:
        raise ReportError(f"{path}: cell {cell} is there {times} times")
    return Run(directory, summary, _manifest(directory / MANIFEST))


def chosen() -> Run:
    """The run that the environment variable RUN names, else the reference run; relative to the repository."""
    return load(_ROOT / os.environ.get("RUN", _REFERENCE))


def _read(path: Path, types: dict[Any, Any]) -> pd.DataFrame:
    try:
        # Only an empty field is empty: by default pandas would read the contender `null` as no name at all.
        frame = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=["", "nan"])
    except FileNotFoundError:
        raise _incomplete(path) from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _broken(path, error) from error
    if missing := [column for column in types if column not in frame]:
        raise ReportError(f"{path}: lacks {', '.join(missing)}")
    return frame


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise _incomplete(path) from None
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error
    if not isinstance(manifest, dict):
        raise ReportError(f"{path}: not a JSON object")
    return manifest


def _incomplete(path: Path) -> ReportError:
    return ReportError(f"{path.parent}: not a run's folder, or not a whole one: no {path.name}")


def _broken(path: Path, error: Exception) -> ReportError:
    return ReportError(f"{path}: cannot be read: {str(error).splitlines()[0]}")
