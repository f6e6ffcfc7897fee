"""Settings of the server that a queue depends on, and what follows where one is otherwise."""

from __future__ import annotations

from typing import NamedTuple

from distq.finding import Severity


class Wish(NamedTuple):
    """A setting and the values that are good."""

    name: str
    good: tuple[str, ...]
    severity: Severity
    why: str
    remedy: str


_SYSTEM = "ALTER SYSTEM SET {} = on; SELECT pg_reload_conf();"

WISHES = (
    Wish(
        "in_hot_standby",
        ("off",),
        Severity.PROBLEM,
        "a standby takes no writes, so nothing can be enqueued or leased",
        "give the primary's URL, or target_session_attrs=read-write and all hosts",
    ),
    Wish(
        "default_transaction_read_only",
        ("off",),
        Severity.PROBLEM,
        "nothing can be enqueued or leased",
        "ALTER ROLE CURRENT_USER SET default_transaction_read_only = off;",
    ),
    Wish(
        "default_transaction_isolation",
        ("read committed",),
        Severity.PROBLEM,
        "two workers that meet at a job fail, where one should wait for the other or pass by",
        "ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'read committed';",
    ),
    Wish(
        "fsync",
        ("on",),
        Severity.PROBLEM,
        "after a crash of the machine the database may be damaged, and all jobs lost",
        _SYSTEM.format("fsync"),
    ),
    Wish(
        "full_page_writes",
        ("on",),
        Severity.PROBLEM,
        "after a crash of the machine pages may be half written, and jobs lost",
        _SYSTEM.format("full_page_writes"),
    ),
    Wish(
        "synchronous_commit",
        ("on", "local", "remote_write", "remote_apply"),
        Severity.WARNING,
        "what was enqueued or settled just before the server crashes is lost",
        "ALTER ROLE CURRENT_USER SET synchronous_commit = on;",
    ),
    Wish(
        "autovacuum",
        ("on",),
        Severity.PROBLEM,
        "dead rows are never removed: each lease walks over them, and gets slower day by day",
        _SYSTEM.format("autovacuum"),
    ),
    Wish(
        "track_counts",
        ("on",),
        Severity.PROBLEM,
        "autovacuum does nothing without it, and each lease gets slower day by day",
        _SYSTEM.format("track_counts"),
    ),
)
