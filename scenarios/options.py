"""The runner's command line, checked: a mistake is one line and exit status 2."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, get_args

from adapters.base import AdapterError, Profile, Service, Tier
from adapters.registry import REGISTRY, UnknownAdapter
from scenarios.handler import parse_work
from scenarios.workload import Scenario

DEFAULT_JOBS = "100,1000,10000"


@dataclass(frozen=True)
class Options:
    """What a run was asked for."""

    jobs: list[int]
    adapters: list[str]
    named: bool
    """Whether the contenders were named one by one: then one that is unavailable fails the run."""
    scenario: Scenario
    workers: int
    concurrency: int
    repeats: int
    tier: Tier
    profile: Profile
    work: str
    payload: int
    deadline: float
    seed: int
    out: Path
    urls: dict[Service, str | None]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Exits with status 2 and one line where it cannot be meant."""
    parser = _arguments()
    given = parser.parse_args(arguments)
    if given.list:
        parser.exit(0, "\n".join(REGISTRY) + "\n")
    try:
        names = _adapters(given.adapters)
        parse_work(given.work)
    except AdapterError as error:
        parser.error(f"--adapters: {error}")
    except ValueError:
        parser.error(f"--work {given.work!r}: use noop, sleep:MS or cpu:MS")
    return Options(
        jobs=given.jobs,
        adapters=names,
        named=given.adapters != "all",
        scenario=given.scenario,
        workers=given.workers,
        concurrency=given.concurrency,
        repeats=given.repeats,
        tier=given.tier,
        profile=given.profile,
        work=given.work,
        payload=given.payload,
        deadline=given.deadline,
        seed=random.SystemRandom().randrange(2**31) if given.seed is None else given.seed,
        out=_writable(parser, given.out or _default_out(given.scenario)),
        urls={
            Service.POSTGRES: given.postgres_url,
            Service.REDIS: given.redis_url,
            Service.RABBITMQ: given.amqp_url,
        },
    )


def _arguments() -> _Parser:
    parser = _Parser(prog="python -m scenarios.run", description="Compare the contenders on real servers.")
    add = parser.add_argument
    add("--jobs", type=_counts, default=_counts(DEFAULT_JOBS), metavar="N[,N…]", help=DEFAULT_JOBS)
    add("--adapters", default="all", metavar="A[,A…]", help="all, or names from --list")
    add("--scenario", choices=get_args(Scenario), default="burst", help="burst: the pool waits for the jobs")
    add("--workers", type=_positive, default=os.cpu_count() or 1, metavar="P", help="worker processes")
    add("--concurrency", type=_positive, default=1, metavar="C", help="jobs at once in a worker process")
    add("--repeats", type=_positive, default=3, metavar="R", help="blocks; each runs every contender once")
    add("--tier", choices=get_args(Tier), default="production", help="how durable the servers are")
    add("--profile", choices=get_args(Profile), default="matched", help="how the contenders are set")
    add("--work", default="noop", metavar="W", help="noop, sleep:MS or cpu:MS in each job")
    add("--payload", type=_whole, default=100, metavar="BYTES", help="in each job")
    add("--deadline", type=_seconds, default=60.0, metavar="S", help="seconds until a cell is given up")
    add("--seed", type=_whole, metavar="S", help="of the order of contenders and of the payloads")
    add("--out", type=Path, metavar="DIR", help="results/<UTC>-<scenario> unless given")
    add("--postgres-url", metavar="URL", help="use this server instead of a private one")
    add("--redis-url", metavar="URL", help="use this server instead of a private one")
    add("--amqp-url", metavar="URL", help="use this server instead of a private one")
    add("--list", action="store_true", help="print the contenders' names and exit")
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _counts(text: str) -> list[int]:
    return [_positive(part.strip()) for part in text.split(",")]


def _adapters(text: str) -> list[str]:
    if text == "all":
        return list(REGISTRY)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in REGISTRY:
            raise UnknownAdapter(name)
    if not names:
        raise AdapterError("no contender is named; --list prints them")
    return list(dict.fromkeys(names))


def _default_out(scenario: str) -> Path:
    return Path("results") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario}"


def _writable(parser: _Parser, path: Path) -> Path:
    if (path / "summary.csv").exists():
        parser.error(f"--out {path}: there is a run already; name another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".probe").touch()
        (path / ".probe").unlink()
    except OSError as error:
        parser.error(f"--out {path}: cannot write there: {error.strerror}")
    return path
