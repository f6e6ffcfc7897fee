from __future__ import annotations

import math

import pandas as pd
import pytest

from scenarios.sensitivity import strip
from tests.summaries import summary

BASE = {"batch": 10, "payload_bytes": 100, "workers": 2}


def varied(*settings: dict[str, int], **rates: float) -> pd.DataFrame:
    """Three blocks of contenders under the base and each setting; a rate is jobs/s."""
    values = {name: [rate, rate * 1.1, rate * 0.9] for name, rate in rates.items()}
    return pd.concat([summary(values, **(BASE | each)) for each in settings], ignore_index=True)


def flipping() -> pd.DataFrame:
    """fast leads, but with a batch of 1, and with a large payload nobody can be told from the other."""
    usual = varied({}, {"batch": 100}, {"workers": 4}, {"batch": 1_000}, fast=100, slow=50)
    small = varied({"batch": 1}, fast=40, slow=50)
    large = summary({"fast": [100, 90, 110], "slow": [95, 99, 100]}, **(BASE | {"payload_bytes": 10_000}))
    return pd.concat([usual, large, small], ignore_index=True)


def test_the_strip_says_what_was_changed_by_how_many_steps_and_where_the_winner_flips() -> None:
    found = strip(flipping(), base=BASE, seed=1)
    columns = ["changed", "value", "step", "leaders", "flips"]
    assert sorted(found.loc[:, columns].itertuples(index=False, name=None), key=lambda row: row[:1]) == [
        ("", None, 0, ("fast",), False),
        ("batch", 1, -1, ("slow",), True),
        ("batch", 100, 1, ("fast",), False),
        ("batch", 1_000, 2, ("fast",), False),
        ("payload_bytes", 10_000, 1, ("fast", "slow"), False),
        ("workers", 4, 1, ("fast",), False),
    ]
    assert found["order"].tolist()[0] == ("fast", "slow")
    by_value = found.set_index(["changed", "value"])
    assert by_value.loc[("batch", 1), "order"] == ("slow", "fast")
    assert by_value.loc[("batch", 1), "ratio"] == pytest.approx(1.25)
    assert by_value.loc[("batch", 100), "ratio"] == pytest.approx(2)


def test_a_setting_that_differs_in_two_columns_is_no_step() -> None:
    frame = varied({}, {"batch": 1}, {"batch": 1, "workers": 4}, fast=100, slow=50)
    assert strip(frame, base=BASE, seed=1)["changed"].tolist() == ["", "batch"]


def test_words_have_an_order_too() -> None:
    frame = varied({}, {"disturbance": "snapshot"}, {"disturbance": "none"}, fast=100)
    found = strip(frame, base=BASE | {"disturbance": "same"}, seed=1)
    assert found.loc[:, ["value", "step"]].to_numpy().tolist() == [[None, 0], ["none", -1], ["snapshot", 1]]
    assert found["ratio"].isna().all()


def test_where_nobody_can_be_ranked_nothing_flips() -> None:
    frame = varied({}, {"batch": 1}, fast=100, slow=50)
    frame.loc[frame["batch"] == 1, "lost"] = 1
    found = strip(frame, base=BASE, seed=1)
    assert found["order"].tolist() == [("fast", "slow"), ()]
    assert found["flips"].tolist() == [False, False]
    assert math.isnan(found["ratio"].iloc[1])
    assert not strip(frame, base=BASE | {"batch": 1}, seed=1)["flips"].any()


def test_a_leader_that_fails_loses_its_place() -> None:
    frame = varied({}, {"batch": 1}, fast=100, slow=50)
    frame.loc[(frame["batch"] == 1) & (frame["adapter"] == "fast"), "status"] = "failed"
    assert strip(frame, base=BASE, seed=1)["flips"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        (BASE | {"colour": 1}, "no setting: colour"),
        ({"payload_bytes": 100, "workers": 2}, "the base does not say which batch of 4"),
        (BASE | {"batch": 7}, "the base was not measured"),
    ],
)
def test_a_base_that_is_none_is_refused(base: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{complaint}$"):
        strip(flipping(), base=base, seed=1)
