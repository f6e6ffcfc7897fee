"""A cell's row of summary.csv: a pure function of its record in cells.jsonl and its rows in jobs.csv.gz."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from adapters.base import Tier
from scenarios import moments, records, statistics, steadiness
from scenarios.catalogue import Setting
from scenarios.columns import SUMMARY
from scenarios.layout import Layout
from scenarios.plan import Plan, Result

_NS_PER_S = 1e9

LEAST_SENT, LAG_S = 0.99, 0.25
"""Below that share of the rate, and the last job so late, the load was not the one that was asked for."""
BUSIEST = 0.95
"""Above that share of a core the producer was the limit."""


class Record(BaseModel):
    """All that is known of a cell beside the moments of its jobs."""

    model_config = ConfigDict(frozen=True)

    cell: str
    block: int
    adapter: str
    tier: Tier
    seed: int
    setting: Setting
    unavailable: str = ""
    """Why the contender could not run, if it could not."""
    result: Result | None = None
    bare: bool = False
    """Its jobs ran no Python."""


def job_rows(plan: Plan, result: Result) -> pd.DataFrame | None:
    """The rows for jobs.csv.gz, from the ledgers; None where nothing was measured."""
    if result.began_ns is None:
        return None
    layout = Layout(plan.cell.directory)
    workers = records.read(layout.ledger)
    if result.timeout:  # what came after the deadline, while the pool was stopped, is censored
        deadline_ns = result.began_ns + round(plan.workload.limit_s * _NS_PER_S)
        workers = workers[workers["time_ns"] <= deadline_ns]
    intended_ns = None  # of a churn: each when it is sent
    if plan.workload.shape != "churn":
        intended_ns = [result.began_ns + round(offset * _NS_PER_S) for offset in plan.workload.offsets_s()]
    return moments.job_rows(records.read(layout.producer), workers, intended_ns=intended_ns)


def row(run_id: str, record: Record, jobs: pd.DataFrame | None) -> dict[str, Any]:
    """The columns of summary.csv by name, in their order. A number that does not exist is absent."""
    settings = record.model_dump(include={"cell", "block", "adapter", "tier", "seed"})
    known = {"run_id": run_id, **settings, **record.setting.model_dump(), **_outcome(record, jobs)}
    return {name: known[name] for name in SUMMARY if name in known}


def _outcome(record: Record, jobs: pd.DataFrame | None) -> dict[str, Any]:
    result = record.result
    if result is None:
        return {"status": "unavailable", "reason": record.unavailable}
    if jobs is None:
        return {"status": "failed", "reason": "; ".join(result.failures)}
    counts = moments.count(jobs, jobs=record.setting.jobs, timeout=result.timeout)
    numbers = result.measured | _rates(record, jobs) | counts | statistics.cell_latencies(jobs)
    numbers |= {"longest_pause_s": steadiness.longest_pause_s(jobs), **steadiness.columns(jobs)}
    if record.setting.shape == "steady":
        numbers |= statistics.cell_load(jobs) | _producers(record, jobs)
    if record.setting.shape == "churn":
        numbers["slowest_tenth"] = statistics.slowest_tenth(jobs)
    known = {name: value for name, value in numbers.items() if value == value}
    return _verdict(record, result, known, _behind(known)) | known


def _producers(record: Record, jobs: pd.DataFrame) -> dict[str, float]:
    """`producer_share`: of a core that each producer took while the load lasted."""
    spent = record.result.measured.get("producer_cpu_s") if record.result else None
    sent: Any = jobs.loc[:, ["intended_ns", "sent_ns"]].dropna()
    if spent is None or sent.empty:
        return {}
    took_s = (int(sent["sent_ns"].max()) - int(sent["intended_ns"].min())) / _NS_PER_S
    return {"producer_share": spent / took_s / record.setting.producers} if took_s > 0 else {}


def _behind(numbers: Mapping[str, Any]) -> str:
    """What is to be said of an open loop that did not keep up, if it did not."""
    share, lag_s = numbers.get("sent_share", 1.0), numbers.get("sent_lag_s", 0.0)
    if share < LEAST_SENT and lag_s > LAG_S:
        return f"the producer, or what it waited for, sent only {share:.1%} of the rate"
    if numbers.get("producer_share", 0.0) > BUSIEST:
        return f"a producer took {numbers['producer_share']:.0%} of a core: it was the limit (--producers)"
    return ""


def _verdict(record: Record, result: Result, counts: Mapping[str, Any], behind: str) -> dict[str, str]:
    setting, failures = record.setting, list(result.failures)
    if counts["negative_latencies"]:
        failures.append(
            f"{counts['negative_latencies']} jobs have moments in an impossible order: a clock is off"
        )
    if counts["lost"]:
        failures.append(f"{counts['lost']} of {setting.jobs} jobs lost")
    if counts["unexpected"]:
        failures.append(f"{counts['unexpected']} finished that nobody submitted")
    reasons = [*failures, *result.notes]
    if behind:
        reasons.append(behind)
    if result.timeout:
        deadline = f"deadline of {setting.deadline_s:g} s"
        reasons.append(f"{deadline}: {counts['censored']} of {setting.jobs} jobs unfinished")
    if setting.work != "noop" and record.bare:
        reasons.append("its jobs never reach Python, so they do no work")
    status = "failed" if failures else "timeout" if result.timeout else "invalid" if behind else "ok"
    return {"status": status, "reason": "; ".join(reasons)}


def _rates(record: Record, rows: pd.DataFrame) -> dict[str, float]:
    """`enqueue_s`, and over what time the jobs finished: from the first sent, or the gate's opening."""
    submitted: Any = rows.dropna(subset=["sent_ns"])
    if submitted.empty:
        return {}
    rates = {}
    first = int(submitted["sent_ns"].min())
    if submitted["accepted_ns"].notna().any():
        rates["enqueue_s"] = (int(submitted["accepted_ns"].max()) - first) / _NS_PER_S
    finished = int(submitted["finished_ns"].count())
    start = first if record.setting.shape in ("burst", "churn") else int(submitted["intended_ns"].min())
    if finished and (took_ns := _end_ns(record, submitted) - start) > 0:
        rates |= {"measured_s": took_ns / _NS_PER_S, "jobs_per_s": finished / took_ns * _NS_PER_S}
    return rates


def _end_ns(record: Record, submitted: Any) -> int:
    """The last finish; where the deadline came first that, for until then nothing more was done."""
    if record.result and record.result.timeout and record.result.began_ns is not None:
        limit_s = record.setting.workload(record.seed).limit_s
        return record.result.began_ns + round(limit_s * _NS_PER_S)
    return int(submitted["finished_ns"].max())
