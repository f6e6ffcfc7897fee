"""Lost, duplicated, unexpected and censored jobs, by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from scenarios import moments, records
from scenarios.ledger import Moment
from scenarios.records import Records
from scenarios.workload import WARM_UP

UPTIME_NS = 12_000_000_000_000_001
"""Past 2^53: a float64 cannot hold it."""


def ledger(*moments: tuple[Moment, int, int], pid: int = 1) -> Records:
    """Records of (moment, job, time)."""
    return np.array([(*moment, pid) for moment in moments], records.FIELDS)


def producer(sent: Iterable[int], accepted: Iterable[int] | None = None) -> Records:
    answers = sent if accepted is None else accepted
    return ledger(
        *((Moment.SENT, job, 100) for job in sent), *((Moment.ACCEPTED, job, 200) for job in answers)
    )


def workers(*jobs: int) -> Records:
    """Records of jobs that were started and finished, each as often as it is named."""
    return ledger(
        *(
            (moment, job, 300 + at)
            for job in jobs
            for at, moment in enumerate([Moment.STARTED, Moment.FINISHED])
        )
    )


def counts(sent: Records, ran: Records, *, jobs: int, timeout: bool = False) -> dict[str, int]:
    rows = moments.job_rows(sent, ran, intended_ns=[50] * jobs)
    return moments.count(rows, jobs=jobs, timeout=timeout)


def test_all_went_well() -> None:
    assert set(counts(producer(range(3)), workers(2, 0, 1), jobs=3).values()) == {0}


def test_a_job_is_lost_if_it_was_accepted_and_did_not_finish() -> None:
    found = counts(producer(range(4), accepted=[0, 1, 2]), workers(0), jobs=4)
    assert found == {"lost": 2, "duplicated": 0, "unexpected": 0, "censored": 0}


def test_a_duplicate_does_not_hide_a_loss() -> None:
    found = counts(producer(range(3)), workers(0, 1, 1), jobs=3)
    assert found == {"lost": 1, "duplicated": 1, "unexpected": 0, "censored": 0}


def test_an_unexpected_job_does_not_hide_a_loss() -> None:
    found = counts(producer(range(3)), workers(0, 1, 99), jobs=3)
    assert found == {"lost": 1, "duplicated": 0, "unexpected": 1, "censored": 0}


def test_at_the_deadline_all_that_has_not_finished_is_censored_sent_or_not() -> None:
    found = counts(producer([0, 1, 2], accepted=[0, 1]), workers(0), jobs=5, timeout=True)
    assert found == {"lost": 0, "duplicated": 0, "unexpected": 0, "censored": 4}


def test_what_a_closed_loop_never_came_to_send_is_censored_too() -> None:
    ran = workers(0, 1)
    rows = moments.job_rows(producer([0, 1, 2]), ran, intended_ns=None)
    assert moments.count(rows, jobs=10, timeout=True)["censored"] == 8


def test_a_job_that_ran_before_it_was_sent_is_unexpected() -> None:
    assert counts(producer([0]), workers(0, 1), jobs=2, timeout=True)["unexpected"] == 1


def test_warm_up_jobs_do_not_count() -> None:
    found = counts(producer([0]), workers(0, WARM_UP, WARM_UP, WARM_UP + 1), jobs=1)
    assert set(found.values()) == {0}


def test_every_job_has_a_row_with_its_first_moments() -> None:
    ran = np.concatenate(
        [
            ledger((Moment.STARTED, 0, 500), (Moment.FINISHED, 0, 700), pid=7),
            ledger((Moment.STARTED, 0, 400), (Moment.FINISHED, 0, 600), pid=8),
            ledger((Moment.GATE, 9, 300), (Moment.STARTED, 1, 450), pid=9),
        ]
    )
    rows = moments.job_rows(producer([0, 1]), ran, intended_ns=[50] * 3)
    first, second, third = rows.astype(object).where(rows.notna(), None).to_dict("records")
    assert first == {
        "job": 0,
        "intended_ns": 50,
        "sent_ns": 100,
        "accepted_ns": 200,
        "started_ns": 400,
        "finished_ns": 600,
        "settled_ns": None,
        "pid": 8,
        "starts": 2,
        "finishes": 2,
    }
    assert (second["started_ns"], second["finished_ns"], second["pid"]) == (450, None, None)
    assert (third["intended_ns"], third["sent_ns"], third["starts"]) == (50, None, None)


def test_no_nanosecond_is_lost_where_moments_are_missing() -> None:
    ran = ledger((Moment.STARTED, 0, UPTIME_NS), (Moment.FINISHED, 0, UPTIME_NS + 2))
    rows = moments.job_rows(producer([0, 1]), ran, intended_ns=[UPTIME_NS - 2] * 2)
    assert rows.dtypes.unique().tolist() == [pd.Int64Dtype()]
    assert rows.iloc[0][["intended_ns", "started_ns", "finished_ns"]].tolist() == [
        UPTIME_NS - 2,
        UPTIME_NS,
        UPTIME_NS + 2,
    ]


@given(
    jobs=st.integers(1, 12),
    accepted=st.sets(st.integers(0, 11)),
    ran=st.lists(st.integers(0, 15), max_size=25),
    timeout=st.booleans(),
)
def test_the_counts_are_what_sets_of_ids_say(
    jobs: int, accepted: set[int], ran: list[int], timeout: bool
) -> None:
    everything, accepted = set(range(jobs)), {job for job in accepted if job < jobs}
    found = counts(producer(everything, accepted), workers(*ran), jobs=jobs, timeout=timeout)
    assert found == {
        "lost": 0 if timeout else len(accepted - set(ran)),
        "duplicated": sum(times > 1 for times in Counter(ran).values()),
        "unexpected": len(set(ran) - everything),
        "censored": len(everything - set(ran)) if timeout else 0,
    }
