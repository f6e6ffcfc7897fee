"""Durations and numbers as people write and read them."""

from __future__ import annotations

import pytest

from distq.admin.wording import plural, seconds_of, spell


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("1.5h", 5400), ("7 d", 604_800), ("2w", 1_209_600), ("10m", 600)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1y", "-1h", "1h30m", "1e3", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use a number and s, m, h, d or w"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.04, "0 s"),
        (0.25, "0.2 s"),
        (3, "3 s"),
        (9.99, "10 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 400, "400 d"),
    ],
)
def test_durations_are_spelt(seconds: float, text: str) -> None:
    assert spell(seconds) == text


def test_numbers_of_things() -> None:
    assert [plural(1, "job"), plural(0, "job"), plural(2000, "crash")] == ["1 job", "0 jobs", "2,000 crashes"]
