"""All mutants: of contenders, and of the testbed itself; which checker must find each."""

from __future__ import annotations

from typing import NamedTuple

from scenarios.mutation.checkers import Checker, counted, failed, paused, refused, slower, unverified
from scenarios.mutation.trials import DIGIT, FORGED, OTHER_TIER, OWN_TIER, SOUND, SOUND_AGAIN, UNTOUCHED


class Suspect(NamedTuple):
    """One mutant; both names are of `trials.Subjects`."""

    name: str
    original: str
    """The same without the fault: of that the checker must say nothing."""
    fault: str
    title: str
    """Of the checker."""
    checker: Checker


SUSPECTS = [
    Suspect("null-loses", SOUND, "loses one job in a thousand", "lost", failed("jobs lost")),
    Suspect("null-twice", SOUND, "runs one job in a thousand twice", "duplicated", counted("duplicated")),
    Suspect(
        "raw-redis-early",
        "raw-redis",
        "forgets a job before it has run, and claims at least once",
        "conformance",
        failed("a killed job did not run again"),
    ),
    Suspect("null-lies", SOUND, "says accepted before it has sent a job", "lost", failed("jobs lost")),
    Suspect("null-slow", SOUND_AGAIN, "is 20 % slower", "interval of the ratio", slower),
    Suspect(
        "null-skewed",
        SOUND,
        "its workers' clock is ten seconds behind",
        "negative latencies",
        counted("negative_latencies"),
    ),
    Suspect("null-stalls", SOUND, "stands still for a second", "longest pause", paused),
    Suspect("null-wrong", SOUND, "keeps wrong results", "results read back", failed("results read back")),
    Suspect(
        "null-hasty",
        SOUND,
        "commits without waiting for the disk",
        "the contender's tier",
        failed("but it runs with"),
    ),
    Suspect(
        OTHER_TIER,
        OWN_TIER,
        "a Redis that syncs each second, in a run of tier strict",
        "the server's tier",
        refused,
    ),
    Suspect(DIGIT, UNTOUCHED, "one digit of a raw row was changed", "scenarios.verify", unverified),
    Suspect(FORGED, UNTOUCHED, "the same, and its hash in the manifest", "scenarios.verify", unverified),
]
