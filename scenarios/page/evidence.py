"""The page's tables of why its numbers may be believed: promises, mutants, the manifest. Pure functions.

All is read from manifest.json, of which any part may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scenarios.page.sheets import BAD, DIFFERENT, QUIET, Cell, Line, Note, Sheet

Manifest = Mapping[str, Any]

_FIELDS = {
    "delivery": "delivery",
    "acked": "acknowledged",
    "fenced": "fenced",
    "redelivery_s": "runs again\nafter a kill",
    "results": "results",
    "order": "order",
    "batch": "batch",
    "prefetch": "prefetch",
}
_UNSEEN = ("not seen", None)
_OWN = ("adapters", "mutants", "servers", "command")
"""Parts of the manifest that have a table of their own, or none."""


def contender_of(entry: str) -> str:
    """Whose an entry of the manifest is: `celery-redis` of `celery-redis (default)`."""
    return entry.partition(" ")[0]


def promises(manifest: Manifest) -> Sheet | None:
    """What each contender claims, and below it what was observed; None where there are no claims."""
    lines: list[Line] = []
    notes: list[Note] = []
    for name, known in manifest.get("adapters", {}).items():
        claimed, observed = known.get("promises"), known.get("observed")
        if not claimed:
            continue
        who = contender_of(name)
        cells = [Cell(_promise(field, claimed)) for field in _FIELDS]
        lines += [Line([Cell(name), Cell("claimed"), *cells], who), _observed(name, claimed, observed)]
        notes += [Note(f"{name}: {problem}", who) for problem in (observed or {}).get("problems", ())]
    heads = ["contender", "", *_FIELDS.values()]
    caption = "What each contender promises, and what was seen of it before it was timed"
    return Sheet(caption, heads, lines, notes=notes, sortable=False) if lines else None


def _observed(name: str, claimed: Manifest, observed: Manifest | None) -> Line:
    if not observed:
        cells = [Cell("not observed in this run", QUIET)]
    else:
        cells = [
            Cell(_promise(field, observed), DIFFERENT if _differs(field, claimed, observed) else "")
            for field in _FIELDS
        ]
    return Line([Cell(name), Cell("observed"), *cells], contender_of(name), joined=True)


def _promise(field: str, row: Manifest) -> str:
    value = row.get(field)
    if field == "redelivery_s" and field in row:
        return "never" if value is None else f"{value:.3g} s"
    return "--" if value is None else _words(value)


def _differs(field: str, claimed: Manifest, observed: Manifest) -> bool:
    """Whether something was seen that is not as claimed; what was not seen does not differ."""
    claim, seen = claimed.get(field), observed.get(field)
    if field == "redelivery_s":
        again = observed.get("delivery") == "at least once"
        return again and (claim is None or (seen or 0) > claim)
    if seen in _UNSEEN or claim is None:
        return False
    if field == "acked":
        return str(claim).partition(" ")[0] != str(seen).partition(" ")[0]
    if field == "results":
        return seen == "wrong" or (seen == "none") != (claim == "none")
    return field in ("delivery", "fenced") and seen != claim


def unequal(manifest: Manifest) -> dict[str, Sequence[str]]:
    """By entry, what is not equal about it; an entry without a sheet is absent."""
    adapters: Mapping[str, Manifest] = manifest.get("adapters", {})
    # Under a second profile a contender stands there again, as "NAME (profile)".
    return {
        name: known["unequal"]
        for name, known in adapters.items()
        if known.get("unequal") and " (" not in name
    }


def mutants(manifest: Manifest) -> Sheet | None:
    """The deliberately broken contenders, and what caught each; None where they were not run."""
    found = tested(manifest)
    if not found:
        return None
    lines = []
    for mutant in found:
        verdict = Cell("caught") if mutant["caught"] else Cell("NOT CAUGHT", BAD)
        told = [Cell(_words(mutant.get(field))) for field in ("name", "fault", "checker")]
        lines.append(Line([*told, verdict, Cell(_words(mutant.get("said")))]))
    heads = ["mutant", "its fault", "the checker", "", "what it said"]
    return Sheet("Deliberately broken contenders, through the whole harness", heads, lines, sortable=False)


def tested(manifest: Manifest) -> Sequence[Manifest]:
    """What became of each mutant; nothing where they were not run."""
    return (manifest.get("mutants") or {}).get("caught") or ()


def records(manifest: Manifest) -> Iterator[Sheet]:
    """The manifest as tables of names and values: the run, then each of its parts, then the servers."""
    plain = {key: value for key, value in manifest.items() if key not in _OWN and not isinstance(value, dict)}
    yield _pairs("The run", plain)
    for key, part in manifest.items():
        if isinstance(part, dict) and part and key not in _OWN:
            yield _pairs({"raw": "SHA-256 of the raw files"}.get(key, key.capitalize()), part)
    for name, settings in manifest.get("servers", {}).items():
        yield _pairs(f"Server: {name}, settings read back", settings)


def settings(manifest: Manifest) -> Sheet | None:
    """What each contender's own settings were, read back from library and server."""
    adapters: Mapping[str, Manifest] = manifest.get("adapters", {})
    lines = [
        Line(
            [
                Cell(name),
                Cell(" · ".join(f"{key} {_words(value)}" for key, value in known["settings"].items())),
            ],
            contender_of(name),
        )
        for name, known in adapters.items()
        if known.get("settings")
    ]
    heads = ["contender", "settings"]
    return Sheet("Settings of the contenders, read back", heads, lines, sortable=False) if lines else None


def _pairs(caption: str, values: Manifest) -> Sheet:
    lines = [Line([Cell(key), Cell(_words(value))]) for key, value in values.items()]
    return Sheet(caption, (), lines, sortable=False)


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "--"
    if value == "":
        return "(empty)"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
