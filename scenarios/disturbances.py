"""What is done to the servers of a contender while it is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from adapters.base import Service
from scenarios.workload import UNDISTURBED, Disturbance


def concerns(disturbance: Disturbance, needs: frozenset[Service]) -> bool:
    """Whether a contender that needs these servers would notice."""
    return disturbance == UNDISTURBED or Service.POSTGRES in needs


@contextmanager
def disturbed(disturbance: Disturbance, urls: Mapping[Service, str]) -> Iterator[None]:
    """Disturb the servers until the end.

    `snapshot`: a transaction that has read once is left open (`idle in transaction`). PostgreSQL keeps what
    is deleted meanwhile, for that transaction might still read it.
    """
    if disturbance == UNDISTURBED:
        yield
        return
    with psycopg.connect(urls[Service.POSTGRES]) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pg_class")
        yield
        connection.rollback()
