"""What a cell costs its servers, by their own counters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import redis

from adapters.base import Service
from scenarios.plan import Plan

Counters = dict[str, float]

FLUSH_S = 1.2
"""After so long an idle session of PostgreSQL has told its counters, at its next statement."""

_TABLES = """
SELECT coalesce(sum(s.n_tup_upd + s.n_tup_del), 0), coalesce(sum(pg_total_relation_size(s.relid)), 0)
FROM pg_stat_all_tables s WHERE s.schemaname = %s
"""
_SERVER = """
SELECT pg_current_wal_insert_lsn() - '0/0', pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
    xact_commit + xact_rollback
FROM pg_stat_database WHERE datname = current_database()
"""


class Costs:
    """What is spent on the plan's servers from now on.

    `log_mb`: of WAL, or of Redis' AOF if that was not rewritten meanwhile. PostgreSQL: `commits` that wrote,
    `transactions` (where the pace of the scenario leaves time to see them), `dead_tuples`. Redis:
    `round_trips`. `stored_mb`: what lies there at the end and did not at the beginning.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._readers = [
            (read, url) for service, url in plan.cell.urls.items() if (read := _READERS.get(service))
        ]
        self._before = self._read()

    def so_far(self, flush: Callable[[], object]) -> Counters:
        """By name, those that the servers show. To be called when the pool has ended.

        Args:
            flush: makes the producer's session speak to its server once more.
        """
        paced = self._plan.workload.shape in ("steady", "churn")
        if paced and Service.POSTGRES in self._plan.cell.urls:
            time.sleep(FLUSH_S)
            flush()
        after = self._read()
        spent = {name: after[name] - value for name, value in self._before.items() if name in after}
        if not paced:
            spent.pop("transactions", None)
        if spent.pop("rewrites", 0):
            spent.pop("log_mb", None)
        return spent

    def _read(self) -> Counters:
        """The servers' counters together; what both have is added up."""
        total: Counters = {}
        for read, url in self._readers:
            for name, value in read(url, self._plan.cell.namespace).items():
                total[name] = total.get(name, 0.0) + value
        return total


def _postgres(url: str, schema: str) -> Counters:
    with psycopg.connect(url, autocommit=True) as connection:
        server: Any = connection.execute(_SERVER).fetchone()
        tables: Any = connection.execute(_TABLES, [schema]).fetchone()
    wal, xids, transactions = map(float, server)
    dead, size = map(float, tables)
    return {
        "log_mb": wal / 2**20,
        "commits": xids,
        "transactions": transactions,
        "dead_tuples": dead,
        "stored_mb": size / 2**20,
    }


def _redis(url: str, _: str) -> Counters:
    with redis.Redis.from_url(url) as client:
        info: Any = client.info("everything")
    counters = {"stored_mb": info["used_memory"] / 2**20}
    if "total_reads_processed" in info:
        counters["round_trips"] = info["total_reads_processed"]
    if info.get("aof_enabled"):
        counters["log_mb"] = info["aof_current_size"] / 2**20
        counters["rewrites"] = info.get("aof_rewrites", 0)
    return counters


_READERS: Mapping[Service, Callable[[str, str], Counters]] = {
    Service.POSTGRES: _postgres,
    Service.REDIS: _redis,
}
