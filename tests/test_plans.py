"""The plans of PostgreSQL's statements, with a million jobs of which nearly all are in one queue and state.

A worker may live for long, so the first plans are made while the store is empty, and known to be.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from distq.job import Conflict, Filter, JobState, Lease, NewJob, Outcome, OutcomeKind, Unique
from distq.postgres import queries
from distq.postgres.administration import SPAN
from distq.postgres.queries import query
from distq.postgres.storage import PostgresStorage
from distq.storage import Op
from tests.contract.steps import NEVER, WHY
from tests.explain import Plan, Session, explain

#: How many jobs have not ended, and as many have; and in which state most of the ones and of the others are.
WORLDS = [(500_000, "ready", "done"), (150_000, "scheduled", "dead")]
BIG = ("job", "finished", "key")
QUERIES = Path(queries.__file__).parent / "queries"

FILL = """
INSERT INTO {schema}.job (id, queue, task, payload, state, ready_at, crashes, key, hold, hold_seconds,
                          token, worker, leased_at, leased_until)
SELECT id, queue, 'app.task', '', state,
       now() + CASE state WHEN 'scheduled' THEN n - 500 ELSE -n END * interval '1 second',
       (n % 10000 = 40)::int, key, CASE WHEN key <> '' THEN 'active' END, CASE WHEN key <> '' THEN 0 END,
       CASE state WHEN 'leased' THEN id END, CASE state WHEN 'leased' THEN 'w' || n % 7 END,
       now(), now() + (n - 5000) * interval '1 second'
FROM (
    SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id,
           CASE WHEN n % 100 = 0 THEN 'small' ELSE 'big' END AS queue,
           CASE WHEN n % 10 = 1 THEN 'k' || n END AS key,
           CASE n % 1000 WHEN 10 THEN 'leased' WHEN 20 THEN 'scheduled' WHEN 30 THEN 'ready'
                         WHEN 40 THEN 'ready' ELSE '{waits}' END::{schema}.job_state AS state
    FROM generate_series(1, {count}) n
) jobs;
INSERT INTO {schema}.finished (id, queue, task, payload, state, tries, crashes, body, enqueued_at,
                               finished_at, expires_at, key, hold, hold_seconds)
SELECT id, queue, 'app.task', '', state, 0, 0, '', now(), now() - n * interval '1 second',
       CASE state WHEN 'done' THEN now() + (n - 500) * interval '1 second' END,
       key, CASE WHEN key <> '' THEN 'active' END, CASE WHEN key <> '' THEN 0 END
FROM (
    SELECT n, ('f' || lpad(to_hex(n), 31, '0'))::uuid AS id,
           CASE WHEN n % 100 = 0 THEN 'small' ELSE 'big' END AS queue,
           CASE WHEN n % 10 = 1 THEN 'f' || n END AS key,
           CASE n % 1000 WHEN 10 THEN 'dead' WHEN 20 THEN 'done' WHEN 30 THEN 'cancelled'
                         ELSE '{ended}' END::{schema}.job_state AS state
    FROM generate_series(1, {count}) n
) jobs;
INSERT INTO {schema}.key (queue, key, job_id, until)
SELECT queue, key, id, CASE WHEN n % 1000 = 11 THEN now() END
FROM (SELECT *, substr(key, 2)::int AS n FROM {schema}.job WHERE key <> '') jobs
UNION ALL SELECT queue, key, id, NULL FROM {schema}.finished WHERE key <> '';
INSERT INTO {schema}.schedule (queue, name, last) VALUES ('big', 'hourly', 1);
"""


def job_id(number: int, *, ended: bool = False) -> str:
    return f"big:{'f' if ended else '0'}{number:031x}"


def operations(storage: PostgresStorage) -> dict[str, Op[Any]]:
    """Every hot statement, with parameters that find some 20 jobs."""
    ids = [job_id(number) for number in range(1, 20_000, 1000)]
    held = [Lease(job_id(n), f"{n:032x}", "", b"", 0, 0) for n in range(10, 20_000, 1000)]
    dead = [job_id(number, ended=True) for number in range(10, 20_000, 1000)]
    new = [NewJob(f"big:e{number:031x}", "big", "app.task", b"{}") for number in range(20)]
    ends = [
        Outcome(lease.id, lease.token, kind, WHY)
        for lease, kind in zip(held, [*OutcomeKind] * 4, strict=False)
    ]

    def keyed(conflict: Conflict) -> list[NewJob]:
        return [
            job._replace(unique=Unique(f"k{n * 500 + 1}", conflict=conflict)) for n, job in enumerate(new)
        ]

    def find(state: JobState, queue: str = "big", *, latest: bool = False, **more: Any) -> Op[Any]:
        return storage.find(Filter(queue, state, **more), limit=20, latest=latest)

    def prune(older: float, beyond: int) -> Op[int]:
        return storage.prune("big", JobState.DEAD, older=older, beyond=beyond, limit=20)

    return {
        "enqueue": storage.enqueue(new),
        "enqueue known ids": storage.enqueue([job._replace(id=id) for job, id in zip(new, ids, strict=True)]),
        "enqueue with keys": storage.enqueue(keyed(Conflict.RETURN)),
        "replace": storage.enqueue(keyed(Conflict.REPLACE)),
        "fire": storage.fire("big", "hourly", last=1, tick=2, job=keyed(Conflict.RETURN)[0]),
        "lease": storage.lease("big", worker="w1", limit=20, ttl=60, alone=False),
        "lease in a small queue": storage.lease("small", worker="w1", limit=20, ttl=60, alone=True),
        "lease a suspect": storage.lease("big", worker="w1", limit=20, ttl=60, alone=True),
        "extend": storage.extend(held, ttl=60, progress={held[0].id: b"1"}),
        "settle": storage.settle(ends, keep=60),
        "settle done": storage.settle([end._replace(kind=OutcomeKind.DONE) for end in ends], keep=60),
        "forfeit": storage.forfeit("big", worker="w1", begun=[held[0].id]),
        "tick": storage.tick("big", limit=20, grace=60, outage=NEVER, eager=True),
        "cancel": storage.cancel([*ids[:10], *(lease.id for lease in held[:10])], reason=WHY),
        "replay": storage.replay(dead),
        "remove": storage.remove([*ids[:10], *dead[:10]]),
        "prune by age": prune(older=3600, beyond=500),
        "prune by count": prune(older=NEVER * 100, beyond=100),
        "watch": storage.watch(ids),
        "get": storage.get(ids[0]),
        "get ended": storage.get(dead[0]),
        **{f"find {state}": find(state) for state in JobState if state is not JobState.WAITING},
        **{
            f"find {state}, latest": find(state, latest=True)
            for state in JobState
            if state is not JobState.WAITING
        },
        **{
            f"find {ended} of an age{order}": find(ended, latest=bool(order), older=100_000, newer=110_000)
            for ended in (JobState.DONE, JobState.DEAD)
            for order in ("", ", latest")
        },
        "find ready after a page, latest": storage.find(
            Filter("big", JobState.READY), after=f"0/{0:032x}", limit=20, latest=True
        ),
        "find scheduled in a small queue": find(JobState.SCHEDULED, "small"),
        "find scheduled in a small queue, latest": find(JobState.SCHEDULED, "small", latest=True),
        "find nothing by text": find(JobState.DEAD, text="no such text"),
        "find nothing by text, latest": find(JobState.DEAD, latest=True, text="no such text"),
        "holder": storage.holder("big", "k1"),
        "recent": storage.recent("big", within=3600, most=100),
        "recent, long": storage.recent("big", within=1e9, most=100),
        "counts": storage.counts("big"),
        "queues": storage.queues(),
    }


RECORD = "job_pkey finished_pkey"
FOUND = {
    "ready": (f"{RECORD} job_ready job_suspect", 60),
    "scheduled": (f"{RECORD} job_scheduled_queue job_scheduled", 600),
    "scheduled in a small queue": (f"{RECORD} job_scheduled_queue", 60),
    # All leases: there is no index in their order.
    "leased": (f"{RECORD} job_leased", 600),
    "done": (f"{RECORD} finished_ended", 60),
    "dead": (f"{RECORD} finished_ended", 60),
    "cancelled": (f"{RECORD} finished_ended", 60),
    "done of an age": (f"{RECORD} finished_ended", 60),
    "dead of an age": (f"{RECORD} finished_ended", 60),
    "nothing by text": (f"{RECORD} finished_ended", SPAN + 1),
}
#: The indexes that a statement may use, and how many rows it may look at.
EXPECTED = {
    "enqueue": ("finished_pkey", 20),
    "enqueue known ids": ("finished_pkey", 20),
    "enqueue with keys": (f"{RECORD} key_pkey", 60),
    "replace": (f"{RECORD} key_pkey", 100),
    "fire": (f"{RECORD} key_pkey", 5),
    "lease": ("job_ready job_pkey", 40),
    "lease in a small queue": ("job_ready job_suspect job_pkey", 40),
    "lease a suspect": ("job_suspect job_pkey", 2),
    "extend": ("job_pkey", 20),
    "settle": (RECORD, 40),
    "settle done": (RECORD, 20),
    # All leases, and those of the worker again.
    "forfeit": ("job_leased job_pkey", 600),
    "tick": (
        f"{RECORD} job_ready job_scheduled job_leased job_suspect finished_expiry key_pkey key_until",
        200,
    ),
    "cancel": ("job_pkey", 40),
    "replay": ("finished_pkey key_pkey", 40),
    "remove": (f"{RECORD} key_pkey", 60),
    # As many as are to stay at least, to find the first of them.
    "prune by age": ("finished_ended finished_pkey key_pkey", 600),
    "prune by count": ("finished_ended finished_pkey key_pkey", 200),
    "watch": ("job_pkey", 20),
    "get": (RECORD, 1),
    "get ended": (RECORD, 1),
    **{f"find {what}{order}": looked_at for what, looked_at in FOUND.items() for order in ("", ", latest")},
    # Here the latest 500 have expired.
    "find done, latest": (f"{RECORD} finished_ended", 600),
    "find ready after a page, latest": (f"{RECORD} job_ready job_suspect", 60),
    "holder": ("key_pkey", 1),
    "recent": ("finished_ended", 300),
    "recent, long": ("finished_ended", 300),
    "queues": ("job_ready job_suspect job_scheduled_queue job_leased finished_ended", 600),
    "counts": (
        "job_ready job_suspect job_scheduled_queue job_scheduled job_leased finished_ended finished_expiry",
        3 * 500_000,
    ),
}


@pytest.fixture(scope="module", params=WORLDS, ids=lambda world: f"{world[1]}, {world[2]}")
def plans(request: pytest.FixtureRequest, postgres_url: str) -> Iterator[dict[tuple[str, str], Plan]]:
    """By statement and by moment."""
    count, waits, ended = request.param
    schema = f"p{uuid.uuid4().hex[:12]}"
    storage = PostgresStorage(f"{postgres_url}?schema={schema}")
    ops = operations(storage)
    with ExitStack() as stack:
        proxy = stack.enter_context(psycopg.connect(postgres_url, autocommit=True))
        storage.migrate()
        stack.callback(proxy.execute, f"DROP SCHEMA {schema} CASCADE".encode())

        def run(text: str) -> None:
            proxy.execute("".join(text.format(schema=schema, table=table) for table in BIG).encode())

        def planned() -> Session:
            return Session(stack.enter_context(storage._executor._connect()), ops)

        def now(moment: str, look: Callable[[str], Plan]) -> dict[tuple[str, str], Plan]:
            return {(name, moment): look(name) for name in ops}

        proxy.execute("SET synchronous_commit = off")
        run("ALTER TABLE {schema}.{table} SET (autovacuum_enabled = off); ANALYZE {schema}.{table};")
        old = planned()
        proxy.execute(FILL.format(schema=schema, count=count, waits=waits, ended=ended).encode())
        found = now("planned when empty", old.explain) | now("not analyzed since", planned().explain)
        found |= now("not analyzed since, proxy", lambda name: explain(proxy, ops[name]))
        run("ANALYZE {schema}.{table};")
        found |= now("analyzed", planned().explain) | now(
            "analyzed, proxy", lambda name: explain(proxy, ops[name])
        )
        yield found


@pytest.mark.parametrize("name", EXPECTED)
def test_rows_are_found_by_the_index_that_is_meant(plans: dict[tuple[str, str], Plan], name: str) -> None:
    indexes, rows = EXPECTED[name]
    for (of, moment), plan in plans.items():
        if of == name:
            # Who counts nearly all rows may read the table, and where a proxy is no setting forbids it.
            assert name == "counts" or not plan.scanned & set(BIG), moment
            assert {index for index in plan.indexes if index.startswith(BIG)} <= set(indexes.split()), moment
            assert plan.rows <= rows, moment


@pytest.mark.parametrize("name", [name for name in EXPECTED if "of an age" in name or name == "recent"])
def test_a_search_by_age_begins_at_its_moment(plans: dict[tuple[str, str], Plan], name: str) -> None:
    """What an index has to pass by is no row, but is on pages."""
    assert max(plan.pages for (of, _), plan in plans.items() if of == name) <= 200


def test_every_statement_of_jobs_is_looked_at() -> None:
    storage = PostgresStorage("postgresql://host/database?schema=s")
    of_jobs = {
        path.stem
        for path in QUERIES.iterdir()
        if re.search(r"distq\.(job|finished|record)\b", path.read_text())
    }
    looked_at = {op.request.text for op in operations(storage).values()}
    assert {name for name in of_jobs if query(name, "s") not in looked_at} == set()
