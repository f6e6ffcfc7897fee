"""A cell's row of summary.csv and its jobs, from the ledgers and from what the harness says."""

from __future__ import annotations

from typing import Any

import pandas as pd

from scenarios import records, statistics, verify
from scenarios.layout import Layout
from scenarios.plan import Plan, Result

_NS_PER_S = 1e9

LEAST_SENT, LAG_S = 0.99, 0.25
"""Below that share of the rate, and the last job so late, the load was not the one that was asked for."""


def settle(plan: Plan, result: Result) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """The columns of summary.csv that a measurement fills in, and the rows for jobs.csv.gz.

    A number that does not exist is absent. Without a measurement there is the status alone, and no jobs.
    """
    if result.began_ns is None:
        return {"status": "failed", "reason": "; ".join(result.failures)}, None
    layout = Layout(plan.cell.directory)
    workers = records.read(layout.ledger)
    if result.timeout:  # what came after the deadline, while the pool was stopped, is censored
        deadline_ns = result.began_ns + round(plan.workload.limit_s * _NS_PER_S)
        workers = workers[workers["time_ns"] <= deadline_ns]
    producer = records.read(layout.producer)
    intended_ns = None  # of a churn: each when it is sent
    if plan.workload.scenario != "churn":
        intended_ns = [result.began_ns + round(offset * _NS_PER_S) for offset in plan.workload.offsets_s()]
    rows = verify.job_rows(producer, workers, intended_ns=intended_ns)
    counts = verify.count(rows, workers, timeout=result.timeout)
    numbers = result.measured | _rates(plan, rows) | counts | statistics.cell_latencies(rows)
    if plan.workload.scenario == "steady":
        numbers |= statistics.cell_load(rows)
    if plan.workload.scenario == "churn":
        numbers["slowest_tenth"] = statistics.slowest_tenth(rows)
    known = {name: value for name, value in numbers.items() if value == value}
    return _verdict(plan, result, counts, _behind(known)) | known, rows


def _behind(numbers: dict[str, float]) -> str:
    """What is to be said of an open loop that did not keep up, if it did not."""
    share, lag_s = numbers.get("sent_share", 1.0), numbers.get("sent_lag_s", 0.0)
    if share >= LEAST_SENT or lag_s <= LAG_S:
        return ""
    return f"the producer, or what it waited for, sent only {share:.1%} of the rate"


def _verdict(plan: Plan, result: Result, counts: dict[str, int], behind: str) -> dict[str, str]:
    jobs, failures = plan.workload.jobs, list(result.failures)
    if counts["lost"]:
        failures.append(f"{counts['lost']} of {jobs} jobs lost")
    if counts["unexpected"]:
        failures.append(f"{counts['unexpected']} finished that nobody submitted")
    reasons = [*failures, *result.notes]
    if behind:
        reasons.append(behind)
    if result.timeout:
        deadline = f"deadline of {plan.workload.deadline_s:g} s"
        reasons.append(f"{deadline}: {counts['censored']} of {jobs} jobs unfinished")
    if plan.cell.work != "noop" and any(Layout(plan.cell.directory).ledger.glob("*.batches")):
        reasons.append("its jobs never reach Python, so they do no work")
    status = "failed" if failures else "timeout" if result.timeout else "invalid" if behind else "ok"
    return {"status": status, "reason": "; ".join(reasons)}


def _rates(plan: Plan, rows: pd.DataFrame) -> dict[str, float]:
    """`enqueue_s`, and over what time the jobs finished: from the first sent, or the gate's opening."""
    submitted: Any = rows.dropna(subset=["sent_ns"])
    if submitted.empty:
        return {}
    rates = {}
    first = int(submitted["sent_ns"].min())
    if submitted["accepted_ns"].notna().any():
        rates["enqueue_s"] = (int(submitted["accepted_ns"].max()) - first) / _NS_PER_S
    if finished := int(submitted["finished_ns"].count()):
        start = first if plan.workload.scenario in ("burst", "churn") else int(submitted["intended_ns"].min())
        rates["measured_s"] = (int(submitted["finished_ns"].max()) - start) / _NS_PER_S
        rates["jobs_per_s"] = finished / rates["measured_s"]
    return rates
