"""The runner's command line, checked: a mistake is one line and exit status 2."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import NoReturn, get_args

from adapters.base import Profile, Service, Tier
from adapters.registry import REGISTRY, Unavailable, UnknownAdapter, load
from scenarios.work import parse_work
from scenarios.workload import WARM_UP, Scenario

DEFAULT_JOBS = "100,1000,10000"
DEFAULT_RATE, DEFAULT_SECONDS = 500.0, 10.0
LONGEST_DEADLINE_S = 86_400.0
LARGEST_PAYLOAD = 16 * 2**20
"""RabbitMQ takes no larger message."""
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Options:
    """What a run was asked for."""

    jobs: list[int]
    adapters: list[str]
    named: bool
    """Whether the contenders were named one by one: then one that is unavailable fails the run."""
    scenario: Scenario
    rate: float
    """Steady: jobs a second; else 0."""
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
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Exits with status 2 and one line where it cannot be meant."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list:
        print(*describe_adapters(), sep="\n")
        parser.exit()
    jobs, rate = _load(parser, given)
    return Options(
        jobs=jobs,
        rate=rate,
        adapters=given.adapters or list(REGISTRY),
        named=given.adapters is not None,
        scenario=given.scenario,
        workers=given.workers,
        concurrency=given.concurrency,
        repeats=given.repeats,
        tier=given.tier,
        profile=given.profile,
        work=given.work,
        payload=given.payload,
        deadline=given.deadline,
        seed=random.SystemRandom().randrange(_LARGEST_SEED) if given.seed is None else given.seed,
        out=_writable(parser, given.out or _default_out(given.scenario)),
        urls={
            Service.POSTGRES: given.postgres_url,
            Service.REDIS: given.redis_url,
            Service.RABBITMQ: given.amqp_url,
        },
    )


def _load(parser: _Parser, given: argparse.Namespace) -> tuple[list[int], float]:
    """How many jobs, and how many of them a second."""
    if given.scenario != "steady":
        if given.rate or given.seconds:
            parser.error("--rate and --for are for --scenario steady")
        return given.jobs or _each_count(DEFAULT_JOBS), 0.0
    if given.jobs:
        parser.error("--jobs: in --scenario steady --rate and --for say how many")
    rate, seconds = given.rate or DEFAULT_RATE, given.seconds or DEFAULT_SECONDS
    return [max(2, round(rate * seconds))], rate


def describe_adapters() -> list[str]:
    """A line a contender: its name, the servers it needs, what it is or why it is not available."""
    return [f"{name:<18} {_describe(name)}" for name in REGISTRY]


def _describe(name: str) -> str:
    try:
        adapter = load(name)
    except Unavailable as error:
        return f"unavailable: {error}"
    servers = " + ".join(sorted(adapter.needs)) or "no server"
    return f"{servers:<19} {(adapter.__doc__ or '').partition(chr(10))[0]}".rstrip()


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m scenarios.run",
        description="Compare the contenders on real servers.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--jobs", type=_each_count, metavar="N[,N…]", help=f"default {DEFAULT_JOBS}; not in steady")
    add("--adapters", type=_adapters, default="all", metavar="A[,A…]", help="all, or names from --list")
    add("--scenario", choices=get_args(Scenario), default="burst", help="burst: the pool waits for the jobs")
    add("--rate", type=_rate, metavar="R", help=f"steady: jobs a second, default {DEFAULT_RATE:g}")
    add("--for", type=_seconds, dest="seconds", metavar="S", help=f"steady: default {DEFAULT_SECONDS:g}s")
    add("--workers", type=_positive, default=os.cpu_count() or 1, metavar="P", help="worker processes")
    add("--concurrency", type=_positive, default=1, metavar="C", help="jobs at once in a worker process")
    add("--repeats", type=_positive, default=3, metavar="R", help="blocks; each runs every contender once")
    add("--tier", choices=get_args(Tier), default="production", help="how durable the servers are")
    add("--profile", choices=get_args(Profile), default="matched", help="how the contenders are set")
    add("--work", type=_work, default="noop", metavar="W", help="noop, sleep:MS or cpu:MS in each job")
    add("--payload", type=_size, default=100, metavar="BYTES", help="in each job")
    add("--deadline", type=_seconds, default=60.0, metavar="S", help="seconds until a cell is given up")
    add("--seed", type=_seed, metavar="S", help="of the order of contenders and of the payloads")
    add("--out", type=Path, metavar="DIR", help="results/<UTC>-<scenario> unless given")
    add("--postgres-url", metavar="URL", help="use this server instead of a private one")
    add("--redis-url", metavar="URL", help="use this server instead of a private one")
    add("--amqp-url", metavar="URL", help="use this server instead of a private one")
    add("--list", action="store_true", help="print the contenders and what they need, and exit")
    return parser


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse_number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse_number


_seed = _number(0, _LARGEST_SEED)
_size = _number(0, LARGEST_PAYLOAD)
_positive = _number(1, 10_000)
_count = _number(1, WARM_UP - 1)


def _each_count(text: str) -> list[int]:
    return list(dict.fromkeys(_count(part.strip()) for part in text.split(",")))


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_DEADLINE_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0, of a day at most")
    return seconds


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.1 <= rate <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs a second from 0.1 to 1,000,000")
    return rate


def _work(text: str) -> str:
    try:
        parse_work(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is none of noop, sleep:MS and cpu:MS") from None
    return text


def _adapters(text: str) -> list[str] | None:
    """The contenders that are named; None for all."""
    if text == "all":
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("no contender is named; --list prints them")
    for name in names:
        if name not in REGISTRY:
            raise argparse.ArgumentTypeError(str(UnknownAdapter(name)))
    return list(dict.fromkeys(names))


def _default_out(scenario: str) -> Path:
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario}"
    names = (f"{name}-{number}" if number > 1 else name for number in count(1))
    return next(path for path in map(Path("results").joinpath, names) if not path.exists())


def _writable(parser: _Parser, path: Path) -> Path:
    """Make the folder, so that it is the run's own before anything is measured."""
    if (path / "summary.csv").exists():
        parser.error(f"--out {path}: there is a run already; name another folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        parser.error(f"--out {path}: cannot write there: {error.strerror}")
    return path
