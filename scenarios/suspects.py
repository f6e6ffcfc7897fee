"""All mutants: of contenders, and of the testbed itself; which checker must find each."""

from __future__ import annotations

from typing import NamedTuple

from scenarios import trials
from scenarios.checkers import Checker, counted, failed, paused, refused, slower, unverified


class Suspect(NamedTuple):
    """One mutant; both names are of `trials.Subjects`."""

    name: str
    original: str
    """The same without the fault: of that the checker must say nothing."""
    fault: str
    title: str
    """Of the checker."""
    checker: Checker


def _null(name: str, fault: str, title: str, checker: Checker, original: str = trials.SOUND) -> Suspect:
    return Suspect(f"null-{name}", original, fault, title, checker)


SUSPECTS = [
    _null("loses", "loses one job in a thousand", "lost", failed("jobs lost")),
    _null(
        *("twice", "runs one job in a thousand twice"),
        *("duplicated", counted("duplicated", "jobs finished more than once")),
    ),
    Suspect(
        *("raw-redis-early", "raw-redis", "forgets a job before it has run, and claims at least once"),
        *("conformance", failed("a killed job did not run again")),
    ),
    _null("lies", "says accepted before it has sent a job", "lost", failed("jobs lost")),
    _null("slow", "is 20 % slower", "interval of the ratio", slower, original=trials.AGAIN),
    _null(
        *("skewed", "its workers' clock is ten seconds behind"),
        *("negative latencies", counted("negative_latencies", "jobs started before they were sent")),
    ),
    _null("stalls", "stands still for a second", "longest pause", paused),
    _null("wrong", "keeps wrong results", "results read back", failed("results read back")),
    _null("hasty", "its sessions commit without the disk", "the contender's tier", failed("but it runs with")),
    Suspect(
        *(trials.OTHER_TIER, trials.OWN_TIER, "a Redis that syncs each second in a run of tier strict"),
        *("the server's tier", refused),
    ),
    Suspect(
        *(trials.DIGIT, trials.UNTOUCHED, "one digit of a raw row was changed"),
        *("scenarios.verify", unverified),
    ),
    Suspect(
        *(trials.FORGED, trials.UNTOUCHED, "the same, and its hash in the manifest with it"),
        *("scenarios.verify", unverified),
    ),
]
