"""Back-off."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distq import retry
from distq.errors import ConfigurationError
from distq.ids import new_ids, split_id


@given(st.integers(1, 10_000))
def test_exponential_doubles_within_its_spread_up_to_the_cap(attempt: int) -> None:
    middle = min(2.0 ** min(attempt, 32), retry.LONGEST)
    assert 0.75 * middle <= retry.parse("exponential")(attempt) <= min(1.25 * middle, retry.LONGEST)


@given(st.integers(1, 10_000))
def test_linear_grows_by_ten_seconds(attempt: int) -> None:
    middle = min(10.0 * attempt, retry.LONGEST)
    assert 0.75 * middle <= retry.parse("linear")(attempt) <= min(1.25 * middle, retry.LONGEST)


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 1e6))
def test_jitter_and_cap_may_be_given(attempt: int, jitter: float, cap: float) -> None:
    middle = min(10.0 * attempt, cap)
    waited = retry.parse(lambda n: n * 10.0, jitter=jitter, max_delay=cap)(attempt)
    assert middle * (1 - jitter) <= waited <= min(middle * (1 + jitter), cap)


@pytest.mark.parametrize("options", [{"jitter": -0.1}, {"jitter": 2}, {"jitter": "x"}, {"max_delay": -1}])
def test_what_cannot_be_a_jitter_or_a_cap_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        retry.parse(1, **options)


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
