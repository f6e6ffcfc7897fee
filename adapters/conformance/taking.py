"""The order in which one worker process runs jobs, and how many it takes at once.

1. Pool A runs a few jobs: in their order, or not; and it learns how long they last, by which some contenders
   size their batches.
2. A is frozen for a moment while a backlog is submitted, so that it finds all of it at once. The job that it
   begins first is held. Then pool B comes and runs what it can get; what it cannot get, A has taken.
"""

from __future__ import annotations

import threading
import time

from adapters.conformance.bench import READY_S, Bench
from adapters.conformance.freezing import frozen
from adapters.conformance.pools import Broken
from adapters.conformance.probe import BACKLOG, Moment

_ORDERED = range(600, 660)
_CANARY = BACKLOG.stop
"""The job behind the backlog: when B begins it, B has passed all that it can get."""
_CANARY_S = 10.0
"""How long B may take to come to it."""
_QUIET_S = 0.1
"""Who has begun no other job for so long is not about to."""
_FREEZE_S = 0.5
"""At most: A may have been stopped with a lock that whoever submits needs."""


def see_the_order(bench: Bench) -> None:
    """See order. Raises Broken, AdapterError."""
    first = bench.pools[0]
    first.begin()
    bench.submit(_ORDERED)
    if not bench.wait(lambda: bench.notes.moments("started"), READY_S):
        raise Broken(f"no job began within {READY_S:g} s of the pool's start: {first.said()}")
    bench.await_end({*_ORDERED} & bench.accepted.keys())
    begun = [moment.job for moment in bench.notes.moments("started")]
    bench.seen["order"] = "as submitted" if begun == sorted(begun) else "not kept"


def see_the_batch(bench: Bench) -> Moment:
    """See batch. Returns which job is held then, and where. Raises Broken, AdapterError."""
    woken_early = _submit_backlog(bench)
    if not bench.wait(lambda: bench.notes.moments("held"), READY_S):
        raise Broken(f"no job of {len(BACKLOG)} began within {READY_S:g} s: {bench.pools[0].said()}")
    (holder,) = bench.notes.moments("held")
    bench.pools[1].begin()
    bench.submit([_CANARY])
    passed = bench.wait(lambda: bench.started(_CANARY) and _is_quiet(bench), _CANARY_S)
    started = [moment for moment in bench.notes.moments("started") if moment.job not in _ORDERED]
    elsewhere = {moment.job for moment in started if moment.pid != holder.pid}
    bench.victims = bench.accepted.keys() - elsewhere - {*_ORDERED} | {holder.job}
    one_at_a_time = all(moment.at_ns <= holder.at_ns for moment in started if moment.pid == holder.pid)
    if passed and one_at_a_time and _CANARY in elsewhere and holder.job not in elsewhere:
        later = any(bench.accepted_ns[id] > holder.at_ns for id in bench.victims)
        all_there_was = bench.victims >= bench.accepted.keys() & {*BACKLOG} or (woken_early and not later)
        bench.seen["batch"] = f"{len(bench.victims)}{' or more' if all_there_was else ''}"
    return holder


def _submit_backlog(bench: Bench) -> bool:
    """Returns whether A woke before all was there."""
    began = time.monotonic()
    with frozen(bench.pools[0]) as wake:
        timer = threading.Timer(_FREEZE_S, wake)
        timer.start()
        try:
            bench.submit(BACKLOG)
        finally:
            timer.cancel()
    return time.monotonic() - began > _FREEZE_S


def _is_quiet(bench: Bench) -> bool:
    latest_ns = max(moment.at_ns for moment in bench.notes.moments("started"))
    return time.monotonic_ns() - latest_ns > _QUIET_S * 1e9
