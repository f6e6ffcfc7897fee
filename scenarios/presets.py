"""Whole runs by name: several scenarios each, written as the words that `scenarios.run` takes for one.

How long each takes was measured on 2 cores.
"""

from __future__ import annotations

from typing import NamedTuple

_QUEUES = "distq-postgres,distq-redis,celery-redis,celery-rabbitmq,rabbitmq-postgres,rabbitmq-redis"
_PROMISES = "celery-redis,celery-rabbitmq,rabbitmq-redis"
"""Whose first page promises less than the others."""
_FEW = "null,distq-postgres,distq-redis,rabbitmq-redis,celery-redis"
_CEILINGS = "null,raw-postgres,raw-redis"
_ALL = f"{_CEILINGS},{_QUEUES}"
_BARE = "raw-postgres,raw-redis"
_STORES = f"{_BARE},distq-postgres,distq-redis"


class Preset(NamedTuple):
    """A run."""

    about: str
    expected: str
    """How long it takes."""
    lines: tuple[str, ...]
    """A chapter each."""
    mutants: bool = True
    """Whether the checkers are tested first."""

    @property
    def chapters(self) -> list[list[str]]:
        """The words of each chapter."""
        return [line.split() for line in self.lines]


PRESETS = {
    "quick": Preset(
        "who is how fast, roughly",
        "about a minute",
        (f"--scenario burst --jobs 1000 --adapters {_FEW}",),
        mutants=False,
    ),
    "standard": Preset(
        "rates with an A/A control, latencies, what the promise costs, scaling",
        "about ten minutes",
        (
            f"--scenario burst --jobs 2000 --repeats 5 --control distq-redis --adapters {_ALL}",
            f"--scenario steady --rate 200 --for 3 --repeats 3 --adapters {_BARE},{_QUEUES}",
            f"--scenario promise --jobs 1000 --adapters {_PROMISES}",
            "--scenario sweep-workers --workers 1,2,3,4,6,8 --jobs 3000 --adapters distq-redis",
        ),
    ),
    "paper": Preset(
        "the same with more blocks, capacity, sensitivity and more of each axis",
        "about an hour",
        (
            f"--scenario burst --jobs 10000 --repeats 6 --control distq-redis --adapters {_ALL}",
            f"--scenario steady --rate 200 --for 10 --repeats 6 --adapters {_BARE},{_QUEUES}",
            f"--scenario promise --jobs 5000 --profile default,matched,tuned --adapters {_PROMISES}",
            f"--scenario capacity --for 3 --repeats 3 --adapters {_QUEUES}",
            f"--scenario sweep-workers --workers 1,2,3,4,6,8 --jobs 10000 --repeats 5 --adapters {_STORES}",
            f"--scenario sensitivity --jobs 2000 --repeats 3 --adapters {_QUEUES}",
        ),
    ),
}
