"""The runner's command line: its options, and the folder that a run is written to."""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import get_args

from adapters.base import Service, Tier
from adapters.registry import REGISTRY, Unavailable, load
from scenarios import arguments
from scenarios.arguments import each
from scenarios.catalogue import SCENARIOS
from scenarios.presets import PRESETS
from scenarios.usage import Parser

URLS = {
    Service.POSTGRES: "postgres_url",
    Service.REDIS: "redis_url",
    Service.RABBITMQ: "amqp_url",
}
"""The options that name a server of the user's own."""

OF_A_CHAPTER = (
    *(
        "scenario",
        "jobs",
        "workers",
        "batch",
        "payload",
        "behind",
        "disturb",
        "rate",
        "schedule",
        "producers",
    ),
    *("seconds", "slo", "deadline", "control", "concurrency", "repeats", "profile", "work"),
)
"""The options of which a preset has its own."""


def make_parser() -> Parser:
    """Reads the words of a command line; what is not given is None."""
    told = [f"  {name:<15} {scenario.about}" for name, scenario in SCENARIOS.items()]
    presets = [f"  {name:<15} {preset.about}; {preset.expected}" for name, preset in PRESETS.items()]
    parser = Parser(
        prog="python -m scenarios.run",
        description="Compare the contenders on real servers.",
        epilog="\n".join(["Scenarios:", *told, "", "Presets:", *presets]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_run(parser)
    _add_settings(parser)
    _add_conditions(parser)
    for name in URLS.values():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, metavar="URL", help="use this server instead of a private one")
    return parser


def _add_run(parser: Parser) -> None:
    """What concerns the run as a whole."""
    add = parser.add_argument
    add("--preset", choices=PRESETS, help="several scenarios in one run, see below; in place of --scenario")
    add("--resume", type=Path, metavar="DIR", help="go on with a run that was interrupted")
    add("--adapters", type=arguments.adapters, metavar="A[,A…]", help="names from --list; all unless given")
    add("--tier", choices=get_args(Tier), help="how durable the servers are; production unless given")
    add("--seed", type=arguments.seed, metavar="S", help="of the order of contenders and of the payloads")
    add("--out", type=Path, metavar="DIR", help="results/<UTC>-<scenario> unless given")
    add("--no-conform", action="store_true", help="time contenders without a look at their contract")
    add("--list", action="store_true", help="print the contenders and what they need, and exit")


def _add_settings(parser: Parser) -> None:
    """The scenario, and what it sets the defaults of."""
    add = parser.add_argument
    add("--scenario", choices=SCENARIOS, help="see below; burst unless given. It sets defaults of these")
    add("--jobs", type=each(arguments.jobs), metavar="N[,N…]", help="how many")
    many = each(arguments.positive)
    add("--workers", type=many, metavar="P[,P…]", help="worker processes; else one a core")
    add("--batch", type=many, metavar="N[,N…]", help="jobs that a worker takes at once")
    add("--payload", type=each(arguments.payload), metavar="BYTES[,…]", help="in each job")
    add("--behind", type=each(arguments.behind), metavar="N[,N…]", help="jobs behind those of a backlog")
    add("--disturb", type=each(arguments.disturbance), metavar="D[,D…]", help="none, snapshot")
    add("--rate", type=arguments.rate, metavar="R", help="steady: jobs a second; capacity: where to begin")
    add("--for", type=arguments.seconds, dest="seconds", metavar="S", help="steady: how long")
    add("--schedule", choices=("poisson", "uniform"), help="steady: how jobs follow one another")
    add("--slo", type=arguments.slo, metavar="L", help='capacity: such as "finish_p99<50ms"')
    add("--deadline", type=arguments.seconds, metavar="S", help="seconds until a cell is given up")


def _add_conditions(parser: Parser) -> None:
    """How often, and under which conditions for all."""
    add = parser.add_argument
    add("--control", type=arguments.adapters, metavar="A[,A…]", help="run these twice, by two names")
    add("--producers", type=arguments.positive, metavar="P", help="processes that send")
    add("--concurrency", type=arguments.positive, metavar="C", help="jobs at once in a worker process")
    add("--repeats", type=arguments.positive, metavar="R", help="blocks; each runs every contender once; 3")
    add("--profile", type=each(arguments.profile), metavar="P[,P…]", help="default, matched, tuned")
    add("--work", type=arguments.work, metavar="W", help="noop, sleep:MS or cpu:MS in each job")


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


def default_out(title: str) -> Path:
    """A folder of results/ that is not there yet."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{title}"
    names = (f"{name}-{number}" if number > 1 else name for number in count(1))
    return next(path for path in map(Path("results").joinpath, names) if not path.exists())


def writable(parser: Parser, path: Path) -> Path:
    """Make the folder, so that it is the run's own before anything is measured."""
    if (path / "summary.csv").exists():
        parser.error(f"--out {path}: there is a run already; name another folder, or --resume it")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        parser.error(f"--out {path}: cannot write there: {error.strerror}")
    return path
