"""The runner's command line, checked: a mistake is one line and exit status 2."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, product
from pathlib import Path
from typing import get_args

from adapters.base import Profile, Service, Tier
from adapters.registry import REGISTRY, Unavailable, load
from scenarios import arguments
from scenarios.arguments import each
from scenarios.presets import PRESETS, Preset, Setting
from scenarios.usage import Parser
from scenarios.workload import Shape


@dataclass(frozen=True)
class Options:
    """What a run was asked for."""

    scenario: str
    """The preset's name."""
    shape: Shape
    settings: list[Setting]
    """Each is measured with every contender in every block."""
    rate: float
    """Steady: jobs a second; else 0."""
    adapters: list[str]
    named: bool
    """Whether the contenders were named one by one: then one that is unavailable fails the run."""
    concurrency: int
    repeats: int
    tier: Tier
    profile: Profile
    work: str
    deadline: float
    seed: int
    out: Path
    urls: dict[Service, str | None]


def parse(command: Sequence[str] | None = None) -> Options:
    """Read the command line. Exits with status 2 and one line where it cannot be meant."""
    parser = _parser()
    given = parser.parse_args(command)
    if given.list:
        print(*describe_adapters(), sep="\n")
        parser.exit()
    preset = PRESETS[given.scenario]
    _refuse(parser, given, preset)
    return Options(
        scenario=given.scenario,
        shape=preset.shape,
        settings=_settings(given, preset),
        rate=given.rate or preset.rate,
        adapters=given.adapters or list(REGISTRY),
        named=given.adapters is not None,
        concurrency=given.concurrency,
        repeats=given.repeats,
        tier=given.tier,
        profile=given.profile,
        work=given.work,
        deadline=given.deadline or preset.deadline_s,
        seed=random.SystemRandom().randrange(arguments.LARGEST_SEED) if given.seed is None else given.seed,
        out=_writable(parser, given.out or _default_out(given.scenario)),
        urls={
            Service.POSTGRES: given.postgres_url,
            Service.REDIS: given.redis_url,
            Service.RABBITMQ: given.amqp_url,
        },
    )


def _refuse(parser: Parser, given: argparse.Namespace, preset: Preset) -> None:
    """What does not go together."""
    if preset.shape == "steady":
        if given.jobs:
            parser.error(f"--jobs: in --scenario {given.scenario} --rate and --for say how many")
    elif given.rate or given.seconds:
        parser.error("--rate and --for are for --scenario steady and idle")
    if any(given.behind or ()) and preset.shape != "backlog":
        parser.error("--behind: only where a backlog is filled first can jobs lie behind the measured ones")


def _settings(given: argparse.Namespace, preset: Preset) -> list[Setting]:
    """The preset's, with what the command line gives in their place; all combinations."""
    jobs = given.jobs or preset.jobs
    if preset.shape == "steady":
        jobs = (max(2, round((given.rate or preset.rate) * (given.seconds or preset.seconds))),)
    workers = given.workers or preset.workers or (os.cpu_count() or 1,)
    batch, payload = given.batch or preset.batch, given.payload or preset.payload
    behind, disturb = given.behind or preset.behind, given.disturb or preset.disturb
    return [Setting(*values) for values in product(jobs, workers, batch, payload, behind, disturb)]


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


def _parser() -> Parser:
    parser = Parser(
        prog="python -m scenarios.run",
        description="Compare the contenders on real servers.",
        epilog="Scenarios:\n" + "\n".join(f"  {name:<15} {preset.about}" for name, preset in PRESETS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_settings(parser)
    _add_conditions(parser)
    for option in ("--postgres-url", "--redis-url", "--amqp-url"):
        parser.add_argument(option, metavar="URL", help="use this server instead of a private one")
    parser.add_argument(
        "--list", action="store_true", help="print the contenders and what they need, and exit"
    )
    return parser


def _add_settings(parser: Parser) -> None:
    """The scenario, and what it sets the defaults of."""
    add = parser.add_argument
    add(
        "--scenario",
        choices=PRESETS,
        default="burst",
        help="see below; it sets the defaults of the next nine",
    )
    add("--jobs", type=each(arguments.jobs), metavar="N[,N…]", help="how many")
    add(
        "--workers", type=each(arguments.positive), metavar="P[,P…]", help="worker processes; else one a core"
    )
    add("--batch", type=each(arguments.positive), metavar="N[,N…]", help="jobs that a worker takes at once")
    add("--payload", type=each(arguments.payload), metavar="BYTES[,…]", help="in each job")
    add("--behind", type=each(arguments.behind), metavar="N[,N…]", help="jobs behind those of a backlog")
    add("--disturb", type=each(arguments.disturbance), metavar="D[,D…]", help="none, snapshot")
    add("--rate", type=arguments.rate, metavar="R", help="steady: jobs a second")
    add("--for", type=arguments.seconds, dest="seconds", metavar="S", help="steady: how long")
    add("--deadline", type=arguments.seconds, metavar="S", help="seconds until a cell is given up")


def _add_conditions(parser: Parser) -> None:
    """Who is measured, how often, and under which conditions for all."""
    add = parser.add_argument
    add(
        "--adapters",
        type=arguments.adapters,
        default="all",
        metavar="A[,A…]",
        help="all, or names from --list",
    )
    add(
        "--concurrency",
        type=arguments.positive,
        default=1,
        metavar="C",
        help="jobs at once in a worker process",
    )
    add(
        "--repeats",
        type=arguments.positive,
        default=3,
        metavar="R",
        help="blocks; each runs every contender once",
    )
    add("--tier", choices=get_args(Tier), default="production", help="how durable the servers are")
    add("--profile", choices=get_args(Profile), default="matched", help="how the contenders are set")
    add(
        "--work",
        type=arguments.work,
        default="noop",
        metavar="W",
        help="noop, sleep:MS or cpu:MS in each job",
    )
    add("--seed", type=arguments.seed, metavar="S", help="of the order of contenders and of the payloads")
    add("--out", type=Path, metavar="DIR", help="results/<UTC>-<scenario> unless given")


def _default_out(scenario: str) -> Path:
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{scenario}"
    names = (f"{name}-{number}" if number > 1 else name for number in count(1))
    return next(path for path in map(Path("results").joinpath, names) if not path.exists())


def _writable(parser: Parser, path: Path) -> Path:
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
