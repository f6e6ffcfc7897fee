"""A service level: `finish_p99<50ms` in words, and whether a cell held it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from scenarios.columns import PERCENTILES, SPANS

LARGEST_GROWTH = 0.02
"""Share of the offered rate by which the number of jobs under way may grow; beyond it a backlog builds up."""

_TEXT = re.compile(
    rf"(?P<span>{'|'.join(SPANS)})_p(?P<percentile>{'|'.join(map(str, PERCENTILES))})"
    r"<(?P<value>\d+(\.\d+)?)(?P<unit>ms|s)"
)


class Slo(NamedTuple):
    """A bound on a latency, from the intended moment."""

    column: str
    """Of summary.csv."""
    bound_ms: float

    @staticmethod
    def parse(text: str) -> Slo:
        """Read `finish_p99<50ms`. Raises ValueError for anything else."""
        match = _TEXT.fullmatch(text.replace(" ", ""))
        if match is None or not float(match["value"]):
            raise ValueError(f"{text!r} is no service level, as finish_p99<50ms or start_p95<0.2s")
        scale = 1000.0 if match["unit"] == "s" else 1.0
        return Slo(f"{match['span']}_p{match['percentile']}_ms", float(match["value"]) * scale)

    def missed(self, row: Mapping[str, Any]) -> str:
        """Why a cell's row of the summary does not hold the level; empty where it does."""
        if row["status"] == "invalid":
            return "the producer"
        if row["status"] != "ok" or row.get("lost") or row.get("unexpected"):
            return str(row["status"]) if row["status"] != "ok" else "lost jobs"
        if not row.get(self.column, math.nan) < self.bound_ms:
            return self.column.removesuffix("_ms")
        growth = row.get("backlog_growth", 0.0)
        return "a growing backlog" if growth > LARGEST_GROWTH else ""
