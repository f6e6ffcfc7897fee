"""The columns of a run's tables, in order, with their pandas types; results/README.md says what they hold."""

from __future__ import annotations

from typing import Any

PERCENTILES = (50, 95, 99)
SPANS = ("start", "finish")
LATENCIES = tuple(f"{to}_p{percentile}_ms" for to in SPANS for percentile in PERCENTILES)
"""From the intended moment."""
FROM_SENT = tuple(f"sent_{to}_p{percentile}_ms" for to in SPANS for percentile in PERCENTILES)
"""From the moment of sending: what a closed loop would have seen."""
SETTLE = tuple(f"settle_p{percentile}_ms" for percentile in PERCENTILES)
LOAD = ("sent_per_s", "send_p50_ms", "send_p95_ms", "send_p99_ms")
COUNTS = ("lost", "duplicated", "unexpected", "censored", "negative_latencies")
COSTS = (
    *("producer_cpu_s", "worker_cpu_s", "broker_cpu_s", "log_mb", "commits"),
    *("transactions", "round_trips", "dead_tuples", "stored_mb"),
)
"""What a cell spends, so that its value is to be seen against the jobs."""

_TEXT, _WHOLE, _NUMBER = "str", "int64", "float64"

SUMMARY: dict[Any, Any] = (
    {"run_id": _TEXT, "cell": _TEXT, "block": _WHOLE, "scenario": _TEXT, "shape": _TEXT, "adapter": _TEXT}
    | {"profile": _TEXT, "tier": _TEXT, "jobs": _WHOLE, "rate": _NUMBER, "schedule": _TEXT}
    | dict.fromkeys(["producers", "workers", "concurrency", "batch", "payload_bytes", "behind"], _WHOLE)
    | {"disturbance": _TEXT, "work": _TEXT, "slo": _TEXT, "deadline_s": _NUMBER}
    | {"status": _TEXT, "reason": _TEXT}
    | dict.fromkeys(["enqueue_s", "startup_s", "measured_s", "jobs_per_s"], _NUMBER)
    | {"steadiness": _TEXT}
    | dict.fromkeys(["change_at", "change_ratio", "slowest_tenth", "longest_pause_s"], _NUMBER)
    | dict.fromkeys(["sent_per_s", "sent_share", "sent_lag_s", "producer_share", *LOAD[1:]], _NUMBER)
    | dict.fromkeys([*LATENCIES, *FROM_SENT, *SETTLE, "backlog_growth", *COUNTS], _NUMBER)
    | dict.fromkeys(["at_risk", "watched_s", *COSTS, "peak_rss_mb", "grown_mb", "broker_mb"], _NUMBER)
    | {"seed": _WHOLE}
)
"""summary.csv: a row a cell."""

MOMENTS = ("intended_ns", "sent_ns", "accepted_ns", "started_ns", "finished_ns", "settled_ns")
JOBS: dict[Any, Any] = {"cell": "category"} | dict.fromkeys(
    ["job", *MOMENTS, "pid", "starts", "finishes"], "Int64"
)
"""jobs.csv.gz: a row a job."""
