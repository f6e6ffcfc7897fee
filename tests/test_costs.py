"""What a cell costs its servers, what is done to them, and what a death of all workers would repeat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from adapters.base import Cell, Service
from adapters.registry import load
from scenarios import costs, depth
from scenarios.costs import Costs
from scenarios.depth import at_risk, fill
from scenarios.disturbances import concerns, disturbed
from scenarios.layout import Layout
from scenarios.ledger import Moment, Writer
from scenarios.plan import Failed, Plan
from scenarios.workload import Workload

NAMESPACE = "distq_test_costs"


@pytest.fixture
def make_plan(tmp_path: Path, postgres_url: str, redis_url: str) -> Callable[..., Plan]:
    urls = {Service.POSTGRES: postgres_url, Service.REDIS: redis_url}

    def make(adapter: str, service: Service | None = None, **workload: Any) -> Plan:
        own = {service: urls[service]} if service else {}
        cell = Cell(adapter=adapter, namespace=NAMESPACE, urls=own, directory=tmp_path / "cell")
        Layout(cell.directory).create()
        return Plan(cell=cell, workload=Workload(**workload), server_pids=[])

    return make


def test_postgres_tells_its_costs(make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "FLUSH_S", 0.0)
    plan = make_plan("raw-postgres", Service.POSTGRES, shape="churn")
    with psycopg.connect(plan.cell.urls[Service.POSTGRES], autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {NAMESPACE} CREATE TABLE t (n int, text text)".encode())
        try:
            spending = Costs(plan)
            with psycopg.connect(plan.cell.urls[Service.POSTGRES], autocommit=True) as other:
                thousand = "SELECT n, repeat('x', 100) FROM generate_series(1, 1000) n"
                other.execute(f"INSERT INTO {NAMESPACE}.t {thousand}".encode())
                other.execute(f"UPDATE {NAMESPACE}.t SET n = -n".encode())
                other.execute(f"DELETE FROM {NAMESPACE}.t WHERE n < -900".encode())
            flushed: list[int] = []
            spent = spending.so_far(lambda: flushed.append(1))
        finally:
            connection.execute(f"DROP SCHEMA {NAMESPACE} CASCADE".encode())
    assert flushed == [1]
    assert spent["dead_tuples"] == 1100
    assert 3 <= spent["commits"] < 100  # others use the server, too
    assert spent["transactions"] >= 3
    assert 0.2 < spent["log_mb"] < 200
    assert 0.2 < spent["stored_mb"] < 1


def test_redis_tells_its_costs(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan("raw-redis", Service.REDIS)
    spending = Costs(plan)
    with redis.Redis.from_url(plan.cell.urls[Service.REDIS]) as client:
        for n in range(50):
            client.set(f"{NAMESPACE}:{n}", "x" * 10_000)
        spent = spending.so_far(client.ping)
        client.delete(*(f"{NAMESPACE}:{n}" for n in range(50)))
    assert spent["round_trips"] >= 50
    assert spent["log_mb"] > 0.4
    assert spent["stored_mb"] > 0.3
    assert "commits" not in spent


def test_what_no_server_shows_is_absent(make_plan: Callable[..., Plan]) -> None:
    assert Costs(make_plan("null", shape="steady")).so_far(lambda: pytest.fail("nobody to ask")) == {}


def test_a_held_snapshot_keeps_what_is_deleted_until_its_end(postgres_url: str) -> None:
    idle = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'idle in transaction' AND backend_xmin IS NOT NULL"
    )

    def held() -> Any:
        with psycopg.connect(postgres_url) as connection:
            return connection.execute(idle.encode()).fetchone()

    (before,) = held()
    with disturbed("snapshot", {Service.POSTGRES: postgres_url}):
        assert held() == (before + 1,)
    assert held() == (before,)


def test_only_postgres_knows_snapshots() -> None:
    assert concerns("snapshot", frozenset({Service.POSTGRES, Service.RABBITMQ}))
    assert not concerns("snapshot", frozenset({Service.REDIS}))
    assert concerns("none", frozenset())


def test_what_is_behind_is_there_and_what_ran_is_at_risk(
    make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depth, "_STILL_S", 0.0)
    plan = make_plan("null", shape="backlog", behind=40)
    adapter, layout = load("null")(plan.cell), Layout(plan.cell.directory)
    adapter.setup()
    assert fill(adapter, plan) == adapter.depth() == 40
    assert at_risk(adapter, layout, 40) == 0
    assert at_risk(adapter, layout, 43) == -3
    writer = Writer(layout.ledger)
    for job in range(5):
        writer.add(Moment.FINISHED, job)
    assert at_risk(adapter, layout, 40) == 5
    adapter.teardown()


def test_what_cannot_be_laid_behind_in_time_fails_the_cell(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan("null", shape="backlog", behind=40, deadline_s=1e-9)
    adapter = load("null")(plan.cell)
    adapter.setup()
    with pytest.raises(Failed, match="only 1 of 40 jobs lay behind the measured ones within 1e-09 s"):
        fill(adapter, plan)
    adapter.teardown()
