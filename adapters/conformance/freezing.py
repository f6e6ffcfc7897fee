"""A pool is frozen while it runs a job, past its lease, and wakes while another runs the same job.

Each attempt's result tells which attempt it is of. Fenced is who never lets the first one's be seen: not
while the second attempt runs, and not when that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from adapters.conformance.bench import READY_S, SETTLE_S, Bench
from adapters.conformance.limits import limit
from adapters.conformance.pools import Broken, Pool
from adapters.conformance.probe import ATTEMPT, FROZEN

_LEASE_S = 60.0
"""How long a frozen pool's job is waited for: a lease that lasts longer is not seen to end."""
_WAKE_S = 5.0
"""How long a pool may take to end its attempt when it runs on."""
_STALE_S = 2.0
"""How long the first attempt's result may take to be seen, after that attempt has ended."""


def see_a_freeze(bench: Bench) -> None:
    """See whether the contender is fenced, where that can be seen. Raises Broken, AdapterError."""
    bench.submit([FROZEN])
    if not bench.wait(lambda: bench.started(FROZEN), READY_S):
        raise Broken(f"job {FROZEN} did not begin within {READY_S:g} s")
    with frozen(_pool_of(bench, bench.started(FROZEN)[0].pid)):
        again = bench.wait(lambda: len(bench.started(FROZEN)) > 1, _LEASE_S)
        bench.notes.let_go("attempt-1")
    if again:
        _see_who_stays(bench)
    bench.notes.let_go("attempt-2")
    bench.await_end({FROZEN})


def _see_who_stays(bench: Bench) -> None:
    """Both attempts run, and the first one may end now."""
    if not bench.wait(lambda: _ended(bench), _WAKE_S):
        return  # it was ended when it woke
    stale = bench.wait(lambda: _kept(bench) == 1, _STALE_S)
    bench.notes.let_go("attempt-2")
    bench.wait(lambda: _ended(bench) > 1 and _kept(bench) > 1, SETTLE_S)
    if kept := _kept(bench):
        bench.seen["fenced"] = kept > 1 and not stale


def _ended(bench: Bench) -> int:
    """How many attempts have ended."""
    return sum(moment.job == FROZEN for moment in bench.notes.moments("finished"))


def _kept(bench: Bench) -> int:
    """The attempt whose result is kept; 0 where none is.

    Where the server makes the results they are the same for all attempts: then the attempt that was settled.
    """
    if bench.notes.moments("batch"):
        settled = [moment.pid for moment in bench.notes.moments("settled") if moment.job == FROZEN]
        attempts = {moment.pid: number for number, moment in enumerate(bench.started(FROZEN), 1)}
        return max((attempts.get(pid, 0) for pid in settled[:1]), default=0)
    with limit("results"):
        return bench.adapter.results([FROZEN]).get(FROZEN, 0) // ATTEMPT


def _pool_of(bench: Bench, pid: int) -> Pool:
    for pool in bench.pools:
        if pid in {process.pid for process in pool.tree()}:
            return pool
    raise Broken(f"process {pid}, which ran a job, belongs to no pool")


@contextmanager
def frozen(pool: Pool) -> Iterator[Callable[[], None]]:
    """Stop a pool, all of it, as when its machine is suspended; gives what wakes it before the end."""
    tree = pool.tree()

    def wake() -> None:
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    try:
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield wake
    finally:
        wake()
