"""What a million jobs would cost in money: a formula over what was measured, with its unit prices.

The prices are round figures of the order of public clouds' lists, not any one's offer. They weigh what was
measured against one another; who has others puts them in their place (`price(table, Prices(core_hour=…))`).
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

_CPU = ("producer_cpu_s", "worker_cpu_s", "broker_cpu_s")


class Prices(NamedTuple):
    """US dollars a unit.

    What is written has no price: RabbitMQ does not show its log, and would look cheap beside those that do.
    """

    core_hour: float = 0.04
    """An hour of one core, of who sends, of workers and of servers alike."""
    gb_hour: float = 0.005
    """An hour of one GiB of memory of all workers and servers."""

    @property
    def words(self) -> str:
        """The formula."""
        return (
            f"Price: CPU-s of all three at ${self.core_hour:g} a core-hour, and memory of workers and "
            f"servers for as long as the jobs took at ${self.gb_hour:g} a GiB-hour. Writes and storage have "
            "none in it."
        )


def price(table: pd.DataFrame, prices: Prices | None = None) -> pd.Series:
    """Dollars a million finished jobs, by row of `tables.contenders`; NaN where servers could not be seen."""
    prices = prices or Prices()
    core_hours = table.loc[:, [f"{name}_per_1000" for name in _CPU]].sum(axis=1, skipna=False) * 1000 / 3600
    hours = 1e6 / table.loc[:, "jobs_per_s"] / 3600
    gib = (table.loc[:, "peak_rss_mb"] + table.loc[:, "broker_mb"]) / 1024
    return core_hours * prices.core_hour + hours * gib * prices.gb_hour
