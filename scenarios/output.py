"""A run's folder: cells are appended as they end, so that what is finished stays whatever comes.

Raw are jobs.csv.gz, a row a job, and cells.jsonl, what else is known of each cell. The manifest holds a hash
of both. summary.csv follows from them, so `python -m scenarios.verify` can compute it again.
"""

from __future__ import annotations

import csv
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios import accounts
from scenarios.accounts import Record
from scenarios.columns import JOBS, SUMMARY
from scenarios.masking import mask, masked

RAW = ("cells.jsonl", "jobs.csv.gz")


class OutputError(Exception):
    """A run's folder cannot be gone on with; the message says why in one line."""


class Output:
    """Writes one run's folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.id = directory.resolve().name
        self.cells: dict[str, dict[str, Any]] = {}
        """The rows of summary.csv so far, by cell."""
        self.logs = directory / "logs"
        """What the processes of a cell said that is not ok; absent where all are."""
        self._summary = directory / "summary.csv"
        self._records, self._jobs = (directory / name for name in RAW)

    def create(self) -> None:
        """Make the folder, and the tables with their heads."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._hold()
        with self._summary.open("x", newline="") as file:
            csv.DictWriter(file, SUMMARY, lineterminator="\n").writeheader()
        self._records.touch()
        self._jobs.write_bytes(_packed(",".join(JOBS) + "\n"))

    def resume(self) -> None:
        """Go on with a run that was interrupted: what was written of an unfinished cell is dropped.

        Raises:
            OutputError: it still runs, or its raw files are missing or damaged.
        """
        self._hold()
        try:
            records = list(read_records(self._records))
            jobs = pd.read_csv(io.StringIO(_unpacked(self._jobs.read_bytes())), dtype=JOBS)
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.directory}: {str(error).splitlines()[0]}") from None
        by_cell = dict(iter(jobs.groupby("cell", observed=True)))
        draft = Output(self.directory / "resumed")
        shutil.rmtree(draft.directory, ignore_errors=True)
        draft.id = self.id
        draft.create()
        for key, record in records:
            draft.add(record, by_cell.get(key))
        for path in draft.directory.iterdir():
            path.replace(self.directory / path.name)
        draft.directory.rmdir()
        self.cells = draft.cells

    def _hold(self) -> None:
        """Keep others out of the folder until this process ends."""
        self._lock = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"{self.directory}: a run that is still under way writes there") from None

    def add(self, record: Record, jobs: pd.DataFrame | None) -> dict[str, Any]:
        """Append a cell: a row for each of its jobs (a gzip member of its own), its record, its row of the
        summary, which is returned.
        """
        record = record.model_validate(masked(record.model_dump()))
        row = accounts.row(self.id, record, jobs)
        if jobs is not None:
            rows = jobs.assign(cell=record.cell)[list(JOBS)]
            with self._jobs.open("ab") as file:
                file.write(_packed(rows.to_csv(header=False, index=False)))
        with self._records.open("a") as file:
            file.write(record.model_dump_json() + "\n")
        with self._summary.open("a", newline="") as file:
            csv.DictWriter(file, SUMMARY, lineterminator="\n").writerow(fields(row))
        self.cells[record.cell] = row
        return row

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest, with the hashes of the raw files; no password of a URL gets into it."""
        path = self.directory / "manifest.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(masked({**manifest, "raw": hashes(self.directory)}), indent=2) + "\n")
        draft.rename(path)

    def keep_log(self, cell: str, text: str) -> None:
        """Keep what the processes of a cell said, but for passwords, as `logs/<cell>.log`."""
        self.logs.mkdir(exist_ok=True)
        (self.logs / f"{cell}.log").write_text(mask(text))

    def discard_if_empty(self) -> None:
        """Remove the folder of a run that never began."""
        if not any(self.directory.iterdir()):
            self.directory.rmdir()


def read_records(path: Path) -> Iterator[tuple[str, Record]]:
    """The records of cells.jsonl by cell; a last line that was cut short is left out."""
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            record = Record.model_validate_json(line)
            yield record.cell, record


def fields(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as summary.csv has it."""
    return {name: _field(row.get(name, "")) for name in SUMMARY}


def hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of each raw file."""
    return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in RAW}


def _unpacked(data: bytes) -> str:
    """The text of all whole members of a gzip file; a last one that was cut short is left out."""
    parts: list[bytes] = []
    while data:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            text = member.decompress(data)
        except zlib.error:
            break
        if not member.eof:
            break
        parts.append(text)
        data = member.unused_data
    return b"".join(parts).decode()


def _packed(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def _field(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
