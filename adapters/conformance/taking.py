"""The order in which one worker process runs jobs, and how many it takes at once.

1. Both pools come and run a few jobs: each in the order of submission, or not. And they learn how long jobs
   last, by which some contenders size their batches.
2. Both are frozen for a moment while a backlog is submitted. Pool A wakes, and finds all of it at once; the
   job that it begins first is held. Then pool B wakes and runs what it can get; what it cannot, A has taken.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import ExitStack
from itertools import count

from adapters.conformance.bench import READY_S, SETTLE_S, Bench
from adapters.conformance.freezing import frozen
from adapters.conformance.pools import Broken
from adapters.conformance.probe import BACKLOG, Moment

_ORDERED = range(600, 660)
_ROUND_S = 0.2
"""Between two rounds of jobs, until both pools have had one."""

_CANARY = range(BACKLOG.stop, BACKLOG.stop + 4)
"""Jobs behind the backlog: when B begins them all, B has passed what it can get, and A takes no more."""
_CANARIES = range(2000, 2600)
"""The same, where A takes one of those: so many that A will not take the last ones."""
_TAIL = _CANARIES[-150:]
_CANARY_S = 10.0
"""How long B may take to come to them."""
_STUCK_S = 0.3
"""Who has begun no job for so long does not get any."""
_QUIET_S = 0.1
"""Who has begun no other job for so long is not about to."""
_FREEZE_S = 0.5
"""At most: who is frozen may hold a lock that others need."""
_PROMPT_S = 0.8
"""B begins something sooner, or A may have given back by then what it had taken."""


def see_the_order(bench: Bench) -> None:
    """See order. Both pools have run jobs then. Raises Broken, AdapterError."""
    _come_up(bench)
    bench.submit(_ORDERED)
    bench.await_end(set(bench.accepted))
    kept = all(jobs == sorted(jobs) for jobs in _by_process(bench, _ORDERED).values())
    bench.seen["order"] = "as submitted" if kept else "not kept"


def _come_up(bench: Bench) -> None:
    """Start both pools, and give them jobs until each has had one: who had is frozen meanwhile."""
    for pool in bench.pools:
        pool.begin()
    deadline = time.monotonic() + READY_S
    for job in count(1000, 2):
        had = _by_process(bench, bench.accepted)
        if time.monotonic() > deadline:
            raise Broken(f"{len(had)} of 2 pools ran a job within {READY_S:g} s: {_said(bench)}")
        with ExitStack() as stack:
            for pool in bench.pools:
                if had.keys() & {process.pid for process in pool.tree()}:
                    stack.enter_context(frozen(pool))
            bench.submit([job, job + 1])
            if bench.wait(lambda: len(_by_process(bench, bench.accepted)) > 1, _ROUND_S):
                return
        bench.wait(lambda: not bench.unfinished(), _ROUND_S)


def _by_process(bench: Bench, jobs: Collection[int]) -> dict[int, list[int]]:
    """What each process has begun of these jobs, in its order."""
    begun: dict[int, list[int]] = defaultdict(list)
    for moment in bench.notes.moments("started"):
        if moment.job in jobs:
            begun[moment.pid].append(moment.job)
    return begun


def _said(bench: Bench) -> str:
    return "; ".join(pool.said() for pool in bench.pools)


def see_the_batch(bench: Bench) -> Moment:
    """See batch. Returns which job is held then, and where. Raises Broken, AdapterError."""
    bench.wait(lambda: not bench.depth(), SETTLE_S)
    before = set(bench.accepted)
    there = _give_backlog(bench)
    if not bench.wait(lambda: bench.notes.moments("held"), READY_S):
        raise Broken(f"no job of {len(BACKLOG)} began within {READY_S:g} s: {_said(bench)}")
    (holder,) = bench.notes.moments("held")
    passed = _send_canaries(bench, holder)
    started = bench.notes.moments("started")
    begun = [moment for moment in started if moment.job not in before]
    elsewhere = [moment for moment in begun if moment.pid != holder.pid]
    taken = bench.accepted.keys() - before - {moment.job for moment in elsewhere}
    # It may have run others, too, of which the broker does not know yet.
    bench.victims = taken | {moment.job for moment in started if moment.pid == holder.pid}
    if passed and _may_be_told(holder, begun):
        more = taken == there or taken.intersection(_TAIL)
        bench.seen["batch"] = f"{len(taken)}{' or more' if more else ''}"
    return holder


def _may_be_told(holder: Moment, begun: list[Moment]) -> bool:
    """Whether what was begun since then tells what the holder's process has taken and kept."""
    mine = [moment.at_ns for moment in begun if moment.pid == holder.pid]
    others = {moment.job: moment.at_ns for moment in begun if moment.pid != holder.pid}
    one_by_one = max(mine) <= holder.at_ns
    prompt = min(others.values()) < holder.at_ns + _PROMPT_S * 1e9
    return one_by_one and prompt and holder.job not in others


def _give_backlog(bench: Bench) -> set[int]:
    """Returns what was there when A woke."""
    woken_ns: list[int] = []
    with frozen(bench.pools[0]) as wake_a, frozen(bench.pools[1]) as wake_b:

        def wake() -> None:
            woken_ns.append(time.monotonic_ns())
            wake_a()

        timer = threading.Timer(_FREEZE_S, lambda: (wake(), wake_b()))
        timer.start()
        try:
            bench.submit(BACKLOG)
        finally:
            timer.cancel()
        wake()
        bench.wait(lambda: bench.notes.moments("held"), _FREEZE_S)
    return {id for id in bench.accepted.keys() & {*BACKLOG} if bench.accepted_ns[id] < woken_ns[0]}


def _send_canaries(bench: Bench, holder: Moment) -> bool:
    """Returns whether B has begun what it could get."""
    woken_ns = time.monotonic_ns()

    def elsewhere() -> list[Moment]:
        return [moment for moment in bench.notes.moments("started") if moment.pid != holder.pid]

    def quiet(seconds: float) -> bool:
        latest_ns = max((moment.at_ns for moment in elsewhere()), default=0)
        return time.monotonic_ns() - max(latest_ns, woken_ns) > seconds * 1e9

    def begun(canaries: range) -> int:
        return sum(moment.job in canaries for moment in elsewhere())

    bench.submit(_CANARY)
    bench.wait(lambda: quiet(_QUIET_S if begun(_CANARY) == len(_CANARY) else _STUCK_S), _CANARY_S)
    if begun(_CANARY) == len(_CANARY):
        return True
    bench.submit(_CANARIES)
    return bench.wait(lambda: quiet(_QUIET_S) and begun(_CANARIES), _CANARY_S)
