"""What must be true in the end: runs, results, depth; and how the pools end when they are told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from adapters.base import expected_result
from adapters.conformance.bench import SETTLE_S, Bench
from adapters.conformance.limits import limit
from adapters.conformance.pools import carriers, until
from adapters.conformance.probe import FROZEN
from adapters.conformance.row import NOT_SEEN

_GONE_S = 1.0
"""How long the last child of a pool that has ended may take to be gone too."""


def see_the_end(bench: Bench) -> None:
    """See what is left of all jobs, then end both pools. Raises Broken, AdapterError."""
    _see_results(bench)
    _check_depth(bench)
    _check_runs(bench)
    for pool in bench.pools:
        pool.stop()
    bench.problems += filter(None, [pool.ended() for pool in bench.pools])
    if not until(lambda: not carriers(bench.notes.cell), _GONE_S):
        left = carriers(bench.notes.cell)
        bench.problems.append(f"{len(left)} processes are left after SIGTERM: {[p.pid for p in left]}")


def _see_results(bench: Bench) -> None:
    finished = bench.accepted.keys() - bench.unfinished() - {FROZEN}
    expected = {id: expected_result(bench.accepted[id]) for id in finished}

    def kept() -> Mapping[int, int]:
        with limit("results"):
            return bench.adapter.results(sorted(finished))

    if bench.claims.results != "none":
        bench.wait(lambda: kept() == expected, SETTLE_S)
    found = kept()
    bench.seen["results"] = "kept" if found == expected else "wrong" if found else "none"
    if bench.seen["results"] == "wrong":
        wrong = sorted(id for id in finished | found.keys() if found.get(id) != expected.get(id))
        first = f"job {wrong[0]} has {found.get(wrong[0])}, not {expected.get(wrong[0])}"
        bench.problems.append(f"{len(wrong)} of {len(expected)} results are missing or wrong: {first}")


def _check_depth(bench: Bench) -> None:
    # Who may yet run the killed job again has not forgotten it.
    if bench.seen.get("delivery", NOT_SEEN) != NOT_SEEN and not bench.wait(
        lambda: not bench.depth(), SETTLE_S
    ):
        bench.problems.append(f"depth() is {bench.depth()} when every job has run, not 0")


def _check_runs(bench: Bench) -> None:
    starts = Counter(moment.job for moment in bench.notes.moments("started"))
    if again := sorted(id for id in starts.keys() - bench.victims - {FROZEN} if starts[id] > 1):
        bench.problems.append(f"{len(again)} jobs ran twice without a kill, the first is job {again[0]}")
    if strange := sorted(starts.keys() - bench.accepted.keys()):
        bench.problems.append(f"{len(strange)} jobs ran and were not accepted, first job {strange[0]}")
