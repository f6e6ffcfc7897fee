"""What random sequences of operations are made of, and how their answers are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from distq.job import Conflict, Filter, Hold, JobRecord, JobState, Lease, NewJob, Outcome, OutcomeKind, Unique
from distq.storage import Storage
from tests.contract.steps import NEVER

QUEUES = ("mail", "bulk")
STATES = [state for state in JobState if state is not JobState.WAITING]

queue = st.sampled_from((*QUEUES[:1] * 3, *QUEUES))
worker = st.sampled_from(("w1", "w2"))
state = st.sampled_from(STATES)
#: No two of these, nor what passes of time, differ by what a level of priority weighs.
seconds = st.sampled_from((0, 10, 700, 5000))
body = st.sampled_from((b"", b'{"e":1}', b'{"e":2}'))
#: The latest job or lease is 0, and so on.
index = st.integers(0, 8)
some = st.lists(index, min_size=1, max_size=4)
unique = st.builds(Unique, st.sampled_from("aaab"), st.sampled_from(Hold), seconds, st.sampled_from(Conflict))
job = st.builds(
    NewJob,
    id=st.just(""),
    queue=queue,
    task=st.sampled_from(("app.a", "app.b")),
    payload=st.sampled_from((b"{}\n{}", b"")),
    delay=st.just(0) | seconds,
    run_at=st.none() | st.none() | st.sampled_from((-4000, -10, 10, 700)),
    priority=st.sampled_from((0, 0, 1, 9)),
    unique=st.none() | unique | unique,
)
#: A job, and where it is to have the id of one that is known: which.
part = st.tuples(job, st.none() | st.none() | index)
parts = st.lists(part, min_size=1, max_size=4)
#: A lease, and how it ends.
end = st.tuples(
    index,
    st.builds(
        Outcome,
        id=st.just(""),
        token=st.just(""),
        kind=st.sampled_from((OutcomeKind.DONE, *OutcomeKind)),
        body=body,
        delay=seconds,
        ran=st.sampled_from((0.0, 1.5)),
    ),
)
filter = st.builds(
    Filter,
    queue,
    state,
    task=st.sampled_from(("", "", "app.a")),
    text=st.sampled_from(("", "", "2", "Replaced")),
    older=st.sampled_from((0, 0, 15, 900)),
    newer=st.sampled_from((0, 0, 700, 6000)),
)
tallies = st.dictionaries(
    st.sampled_from(QUEUES), st.dictionaries(st.sampled_from(("done", "retry")), st.integers(1, 5))
)

OPERATIONS: list[tuple[int, str, dict[str, Any]]] = [
    (8, "enqueue", {"parts": parts}),
    (
        6,
        "lease",
        {
            "queue": queue,
            "worker": worker,
            "limit": st.integers(1, 5),
            "ttl": seconds,
            "alone": st.booleans(),
        },
    ),
    (6, "settle", {"ends": st.lists(end, min_size=1, max_size=4), "keep": seconds}),
    (2, "extend", {"numbers": some, "progress": body, "ttl": seconds}),
    (3, "work", {"queue": queue, "limit": st.integers(1, 2), "keep": seconds}),
    (1, "crash", {"queue": queue, "times": st.integers(1, 3)}),
    (2, "freeze", {"queue": queue, "limit": st.integers(1, 3), "passed": st.sampled_from((15, 800))}),
    (2, "die", {"number": index, "begun": some, "kept": some}),
    (4, "let_time_pass", {"passed": st.sampled_from((0.3, 15, 800, 6000, 100_000))}),
    (4, "make_passes", {"eager": st.booleans(), "outage": st.sampled_from((1000, NEVER))}),
    (1, "make_short_passes", {}),
    (1, "steer", {"verb": st.sampled_from(("remove", "watch")), "numbers": some}),
    (2, "replay", {"numbers": some}),
    (2, "cancel", {"numbers": some}),
    (1, "pause", {"queue": queue, "paused": st.just(False) | st.booleans()}),
    (
        2,
        "prune",
        {
            "queue": queue,
            "state": st.sampled_from([state for state in STATES if state.ended]),
            "older": st.sampled_from((NEVER, NEVER, 15, 900)),
            "beyond": st.sampled_from((0, 1, 2)),
            "limit": st.sampled_from((100, 1, 2)),
        },
    ),
    (2, "look_at_everything", {}),
    (2, "find", {"filter": filter, "limit": st.sampled_from((1, 2, 100)), "latest": st.booleans()}),
    (1, "look_lately", {"queue": queue, "within": st.sampled_from((0.5, 20, 6000)), "most": index}),
    (
        1,
        "announce",
        {
            "worker": worker,
            "queues": st.lists(st.sampled_from((*QUEUES, "idle")), max_size=2),
            "vitals": body,
            "tallies": tallies,
        },
    ),
    (1, "ask_for_key", {"queue": queue, "key": st.sampled_from("ab")}),
    (1, "leave", {"worker": worker, "tallies": st.none() | tallies}),
    (1, "see_workers", {"within": st.sampled_from((0.5, 60, 7000))}),
    (1, "schedule", {"queue": queue, "names": st.lists(st.sampled_from(("hourly", "daily")), max_size=3)}),
    (
        2,
        "fire",
        {
            "queue": queue,
            "paused": st.sampled_from((False, False, True)),
            "late": st.sampled_from((0, 0, 0, 1)),
            "gap": st.sampled_from((0, 1, 1, 60, 900)),
            "part": st.none() | part,
        },
    ),
]

#: By weight. Each rule would be left out of half the sequences, and most of these are nothing without others.
operation = st.one_of(
    [
        st.tuples(st.just(name), st.fixed_dictionaries(arguments))
        for weight, name, arguments in OPERATIONS
        for _ in range(weight)
    ]
)


def found(storage: Storage, filter: Filter, limit: int, *, latest: bool = False) -> list[JobRecord]:
    """All the pages of a search, turned round where the latest are first; in the order of ids what has none:
    what runs, or ended at one moment.
    """
    jobs: list[JobRecord] = []
    after = ""
    while True:
        page = storage.run(storage.find(filter, after=after, limit=limit, latest=latest))
        assert len(page.jobs) <= limit
        jobs += page.jobs
        if not (after := page.after):
            break
    if latest:
        jobs.reverse()
    if filter.state in (JobState.READY, JobState.SCHEDULED):
        return jobs
    ends = [job.ended_at or 0 for job in jobs]
    assert ends == sorted(ends)
    return sorted(jobs, key=lambda job: (job.ended_at or 0, job.id))


def everything(storage: Storage, ids: Sequence[str]) -> Any:
    """All that a storage knows of jobs and queues."""
    records = [storage.run(storage.get(job_id)) for job_id in ids]
    searches = [found(storage, Filter(queue, state), 3) for queue in QUEUES for state in STATES]
    return records, searches, storage.run(storage.queues())


def plain(answer: Any) -> Any:
    """An answer without what may differ: tokens, microseconds, states of which there is none."""
    if isinstance(answer, Lease):
        return answer._replace(token="", waited=0.0)
    if isinstance(answer, float):
        return round(answer, 3)
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items() if value or value is False}
    if isinstance(answer, tuple | list):
        return [plain(part) for part in answer]
    return answer


def difference(model: Any, real: Any) -> str:
    """The first part of two answers that differs."""
    if isinstance(model, list) and isinstance(real, list) and len(model) == len(real):
        return next(difference(*pair) for pair in zip(model, real, strict=True) if pair[0] != pair[1])
    return f"memory says {model!r}, the server {real!r}"
