"""Back-off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distq import retry
from distq.job import new_ids, split_id


@given(st.integers(1, 10_000))
def test_exponential_doubles_within_its_spread_up_to_the_cap(attempt: int) -> None:
    middle = min(2.0 ** min(attempt, 32), retry.LONGEST)
    assert 0.75 * middle <= retry.parse("exponential")(attempt) <= 1.25 * middle


@given(st.integers(1, 10_000))
def test_linear_grows_by_ten_seconds(attempt: int) -> None:
    middle = min(10.0 * attempt, retry.LONGEST)
    assert 0.75 * middle <= retry.parse("linear")(attempt) <= 1.25 * middle


def test_numbers_lists_and_functions_are_taken_as_given() -> None:
    assert [retry.parse(3)(n) for n in (1, 9)] == [3.0, 3.0]
    assert [retry.parse([1, 5, 60])(n) for n in (1, 2, 3, 4, 99)] == [1, 5, 60, 60, 60]
    assert retry.parse(lambda attempt: attempt * 2.0)(4) == 8.0


@given(st.integers(0, 3000))
def test_ids_of_a_call_ascend_and_name_their_queue(count: int) -> None:
    ids = new_ids("a.b-c_1", count)
    assert ids == sorted(set(ids))
    assert {split_id(job_id)[0] for job_id in ids} <= {"a.b-c_1"}
    assert all(job_id[-20] == "7" and job_id[-16] in "89ab" for job_id in ids)
