"""A run's folder to one page: report.html, which holds all that it shows and asks no network for anything.

The same folder gives the same bytes, so that `python -m scenarios.verify` can make it again and compare.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scenarios import printing, ranking
from scenarios.capacity import CURVE
from scenarios.folder import MANIFEST, Run
from scenarios.look import order
from scenarios.page import evidence, figures, sections, sentences, shades, sheets, verdicts
from scenarios.prices import Prices
from scenarios.tables import contenders, groups

NAME = "report.html"
"""Of the page in a run's folder."""

_PAGES = Path(__file__).resolve().parent


def write(run: Run) -> Path:
    """Write `report.html` into the run's folder. Returns its path.

    Raises:
        ReportError: jobs.csv.gz cannot be read.
        OSError: the folder cannot be written to.
    """
    path = run.directory / NAME
    path.write_text(render(run), encoding="utf-8")
    return path


def render(run: Run) -> str:
    """The page of a run.

    Raises:
        ReportError: jobs.csv.gz cannot be read.
    """
    environment = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _read("script.js")
    inlined = {
        "style": Markup(_read("style.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template("report.html.j2").render(inlined | _results(run) | _grounds(run))


def _read(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")


def _results(run: Run) -> dict[str, Any]:
    """What was found."""
    parts, seed = sections.parts(run), sections.seed_of(run)
    first = parts[0].run.summary
    *_, (head, cells) = groups(parts[0].judged)
    names = list(dict.fromkeys([*order(contenders(cells)), *run.summary.loc[:, "adapter"]]))
    control = ranking.control(run.summary, seed=seed)
    found = {
        "facts": sentences.facts(run.summary, run.manifest, names),
        "keys": figures.keys(names),
        "answers": [sections.answer(part, seed=seed) for part in parts if part.name != CURVE],
        "ceiling": sentences.ceiling(first),
        "first_figure": figures.headline(cells, run.foot, f"run {run.id} · {run.seal}"),
        "first_ranks": verdicts.ranks(cells, head, sheets.told(first, head), seed=seed),
        "first_table": sections.table(parts[0], head, seed=seed),
        "sections": [sections.section(run, part, names, head) for part in parts],
        "profiles": list(verdicts.profiles(run.summary, names, seed=seed)),
        "noise": sentences.noise(control),
        "controls": verdicts.controls(control),
        "costs": [sheets.costs(part.table, part.name) for part in parts if part.has_costs],
        "price": Prices().words,
    }
    light, dark = shades.palette("".join(_coloured(found)))
    return found | {"light": Markup(light), "dark": Markup(dark)}


def _coloured(found: dict[str, Any]) -> Iterator[str]:
    """All text that may refer to a colour."""
    yield from (key.shade for key in found["keys"])
    for figure in (found["first_figure"], *(each for part in found["sections"] for each in part.figures)):
        yield from (figure.drawing, figure.narrow or "")


def _grounds(run: Run) -> dict[str, Any]:
    """What was asked, and why the numbers may be believed."""
    manifest, summary = run.manifest, run.summary
    return {
        "run": run,
        "title": sentences.title(summary),
        "legend": printing.LEGEND,
        "question": sentences.question(summary),
        "command": sentences.command(manifest),
        "untested": sentences.untested(manifest),
        "promises": evidence.promises(manifest),
        "unequal": evidence.unequal(manifest),
        "mutants": evidence.mutants(manifest),
        "settings": evidence.settings(manifest),
        "records": list(evidence.records(manifest)),
        "manifest_hash": hashlib.sha256((run.directory / MANIFEST).read_bytes()).hexdigest(),
    }
