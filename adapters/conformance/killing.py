"""A process is killed while it runs a job: the job comes again or does not, and so do those it had taken."""

from __future__ import annotations

import time

from adapters.conformance.bench import Bench
from adapters.conformance.pools import Broken
from adapters.conformance.probe import Moment
from adapters.conformance.row import LONGEST_WAIT_S, patience_s


def see_a_kill(bench: Bench, holder: Moment) -> None:
    """Kill the process that runs the held job; see delivery, acked and redelivery_s. Raises Broken."""
    killed_ns = time.monotonic_ns()
    if len(bench.started(holder.job)) > 1:  # its lease has ended by itself: that was when it was held
        killed_ns = holder.at_ns
    if not any(pool.kill_process(holder.pid) for pool in bench.pools):
        raise Broken(f"process {holder.pid}, which ran a job, belongs to no pool")
    _see_delivery(bench, holder.job, killed_ns)
    bench.await_end(set(bench.accepted) - bench.victims)
    if bench.seen.get("delivery") == bench.claims.delivery == "at least once":
        _await_victims(bench)


def _see_delivery(bench: Bench, job: int, killed_ns: int) -> None:
    waited_s = bench.seen["waited_s"] = patience_s(bench.claims)
    if bench.wait(lambda: len(bench.started(job)) > 1, waited_s):
        again_ns = bench.started(job)[1].at_ns
        bench.seen |= {"delivery": "at least once", "acked": "after the run"}
        bench.seen["redelivery_s"] = (again_ns - killed_ns) / 1e9
    elif (bench.claims.redelivery_s or 0.0) <= LONGEST_WAIT_S:
        bench.seen |= {"delivery": "at most once", "acked": "before the run"}


def _await_victims(bench: Bench) -> None:
    """What the killed process had taken and not begun must not be lost either."""
    if not bench.wait(lambda: not bench.unfinished(), patience_s(bench.claims)):
        lost, taken = len(bench.unfinished()), len(bench.victims)
        bench.problems.append(f"{lost} of {taken} jobs that a killed process had taken never ran again")
