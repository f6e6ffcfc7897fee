"""What a run was asked for: the chapter that the command line describes, or those of a preset."""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from adapters.base import Service, Tier
from adapters.registry import REGISTRY
from scenarios import arguments
from scenarios.catalogue import SCENARIOS, Scenario, Setting, around
from scenarios.commandline import OF_A_CHAPTER, URLS, default_out, describe_adapters, make_parser, writable
from scenarios.controls import CONTROL
from scenarios.environment import checkout
from scenarios.presets import PRESETS
from scenarios.usage import Parser


@dataclass(frozen=True)
class Chapter:
    """One scenario of a run."""

    scenario: str
    settings: list[Setting]
    """Each is measured with every contender in every block."""
    adapters: list[str]
    """The contenders; a control stands there a second time, by another name."""
    repeats: int
    seconds: float = 0.0
    """Steady: how long a load lasts."""


@dataclass(frozen=True)
class Options:
    """What a run was asked for."""

    chapters: list[Chapter]
    title: str
    """The preset, or the scenario."""
    command: list[str]
    """The words of the command line; a resumed run has those of its beginning."""
    expected: str
    """How long a preset takes; empty where nobody knows."""
    named: bool
    """Whether the contenders were named one by one: then one that is unavailable fails the run."""
    tier: Tier
    seed: int
    out: Path
    urls: dict[Service, str | None]
    conform: bool
    """Whether contenders go through the contract's short form before they are timed."""
    mutants: bool
    """Whether the checkers are tested first."""
    resumed: bool = False


def parse(command: Sequence[str]) -> Options:
    """Read the command line. Exits with status 2 and one line where it cannot be meant."""
    parser = make_parser()
    given = parser.parse_args(command)
    if given.list:
        print(*describe_adapters(), sep="\n")
        parser.exit()
    if given.resume:
        return _resume(parser, given)
    options = _options(parser, given, list(command))
    return replace(options, out=writable(parser, given.out or default_out(options.title)))


def _options(parser: Parser, given: argparse.Namespace, command: list[str]) -> Options:
    preset = PRESETS[given.preset] if given.preset else None
    if preset:
        clash = next((name for name in OF_A_CHAPTER if getattr(given, name) is not None), None)
        if clash:
            parser.error(f"--{clash.replace('_', '-')}: a preset says that itself")
        chapters = [_chapter(parser, parser.parse_args(words), given) for words in preset.chapters]
    else:
        chapters = [_chapter(parser, given, given)]
    return Options(
        chapters=[chapter for chapter in chapters if chapter.adapters],
        title=given.preset or chapters[0].scenario,
        command=command,
        expected=preset.expected if preset else "",
        named=given.adapters is not None,
        tier=given.tier or "production",
        seed=random.SystemRandom().randrange(arguments.LARGEST_SEED) if given.seed is None else given.seed,
        out=given.out or Path(),
        urls={service: getattr(given, name) for service, name in URLS.items()},
        conform=not given.no_conform,
        mutants=bool(preset and preset.mutants),
    )


def _resume(parser: Parser, given: argparse.Namespace) -> Options:
    """The options of a run that was interrupted; servers of the user's own are to be named again."""
    others = (*OF_A_CHAPTER, "preset", "adapters", "tier", "seed", "out")
    if clash := next((name for name in others if getattr(given, name) is not None), None):
        parser.error(f"--{clash.replace('_', '-')}: a run that is resumed has what it began with")
    path = given.resume / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        words, commit, seed = list(map(str, manifest["command"][3:])), manifest["commit"], manifest["seed"]
        begun = {"commit": commit, "dirty": manifest["dirty"]}
    except (OSError, ValueError, KeyError, TypeError):
        parser.error(f"--resume {given.resume}: no run that began lies there: {path.name} cannot be read")
    if begun != checkout():
        code = f"{str(commit)[:10]}{'-dirty' * bool(begun['dirty'])}"
        parser.error(f"--resume {given.resume}: commit {code} began it, whose code this is not; begin anew")
    was = parser.parse_args(words)
    for name in URLS.values():
        setattr(was, name, getattr(given, name) or getattr(was, name))
        if "***" in (getattr(was, name) or ""):
            parser.error(f"--resume: the --{name.replace('_', '-')} had a password; give it again")
    return replace(_options(parser, was, words), seed=seed, out=given.resume, resumed=True)


def _chapter(parser: Parser, given: argparse.Namespace, run: argparse.Namespace) -> Chapter:
    """What one line of options describes; the contenders that the run's own line names are kept."""
    scenario = SCENARIOS[given.scenario or "burst"]
    _refuse(parser, given, scenario)
    names = given.adapters or list(REGISTRY)
    if run.adapters:
        names = [name for name in run.adapters if not given.adapters or name in names or run is given]
    controls = [f"{name}{CONTROL}" for name in given.control or () if name in names]
    return Chapter(
        scenario=given.scenario or "burst",
        settings=_settings(given, scenario),
        adapters=[*names, *controls],
        repeats=given.repeats or 3,
        seconds=given.seconds or scenario.seconds,
    )


def _refuse(parser: Parser, given: argparse.Namespace, scenario: Scenario) -> None:
    """What does not go together."""
    if scenario.shape == "steady":
        if given.jobs:
            parser.error(f"--jobs: in --scenario {given.scenario} --rate and --for say how many")
    elif given.rate or given.seconds or given.schedule:
        parser.error("--rate, --for and --schedule are for --scenario steady, capacity and idle")
    if any(given.behind or ()) and scenario.shape != "backlog":
        parser.error("--behind: only where a backlog is filled first can jobs lie behind the measured ones")
    if given.slo and not scenario.slo:
        parser.error("--slo is for --scenario capacity")
    unknown = set(given.control or ()) - set(given.adapters or REGISTRY)
    if unknown:
        parser.error(f"--control {min(unknown)}: it is none of the --adapters")
    if given.producers and given.producers > 1 and scenario.shape == "churn":
        parser.error("--producers: a closed loop has one")


def _settings(given: argparse.Namespace, scenario: Scenario) -> list[Setting]:
    """The scenario's, with what the command line gives in their place; all combinations."""
    jobs, rate = given.jobs or scenario.jobs, given.rate or scenario.rate
    if scenario.shape == "steady":
        jobs = (max(2, round(rate * (given.seconds or scenario.seconds))),)
    axes: dict[str, Sequence[Any]] = {
        "profile": given.profile or scenario.profile,
        "jobs": jobs,
        "workers": given.workers or scenario.workers or (os.cpu_count() or 1,),
        "batch": given.batch or scenario.batch,
        "payload_bytes": given.payload or scenario.payload,
        "behind": given.behind or scenario.behind,
        "disturbance": given.disturb or scenario.disturb,
    }
    steady = {"rate": rate, "schedule": given.schedule or "poisson"} if scenario.shape == "steady" else {}
    shared = steady | {
        "scenario": given.scenario or "burst",
        "shape": scenario.shape,
        "producers": given.producers or 1,
        "concurrency": given.concurrency or 1,
        "work": given.work or "noop",
        "slo": given.slo or scenario.slo,
        "deadline_s": given.deadline or scenario.deadline_s,
    }
    settings = [
        Setting(**shared, **dict(zip(axes, values, strict=True))) for values in product(*axes.values())
    ]
    return [near for base in settings for near in around(base)] if scenario.stepped else settings
