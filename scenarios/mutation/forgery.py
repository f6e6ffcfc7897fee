"""A copy of a run in which one digit of a raw row is another: `scenarios.verify` must see it."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

from scenarios.columns import JOBS
from scenarios.folder import MANIFEST
from scenarios.output import hashes

_NAME, _COLUMN = "jobs.csv.gz", "finished_ns"


def changed(run: Path, copy: Path, *, forged: bool) -> Path:
    """Copy a run's folder and change a digit of when its last job was finished. Returns the copy.

    Args:
        forged: it is the first digit, so that other numbers follow, and the manifest is given the new hash;
            else it is the last digit, which only the hash can tell.
    """
    shutil.copytree(run, copy)
    path = copy / _NAME
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    fields = lines[-1].split(",")
    at = list(JOBS).index(_COLUMN)
    fields[at] = _other(fields[at], 0 if forged else -1)
    lines[-1] = ",".join(fields)
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    if forged:
        manifest = json.loads((copy / MANIFEST).read_bytes())
        (copy / MANIFEST).write_text(json.dumps(manifest | {"raw": hashes(copy)}))
    return copy


def _other(number: str, place: int) -> str:
    digits = list(number)
    digits[place] = str(int(digits[place]) % 9 + 1)
    return "".join(digits)
