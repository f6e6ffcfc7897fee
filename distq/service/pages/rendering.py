"""Templates, and how they write numbers, times and data. All that is put into them is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from pydantic_core import to_json

from distq.admin.wording import plural, spell
from distq.service.hiding import hidden_entry

NONE = "\N{EN DASH}"
"""What is written where there is nothing to say."""

LONGEST = 20_000
"""Characters that a page shows of a text at most; of more it says that they are there."""

_COMMAND = re.compile(r"(?:distq|redis-cli|ALTER SYSTEM) .*?(?=;|   |$)")

_STEPS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def number(value: float | None) -> str:
    """`1,204`; a fraction with as many digits as tell something."""
    if value is None:
        return NONE
    if isinstance(value, int) or value >= 100:
        return f"{round(value):,}"
    return f"{value:.1f}" if value >= 0.05 else "0"


def share(value: float | None) -> str:
    """`12 %`."""
    return NONE if value is None else f"{value * 100:.0f} %"


def size(value: int) -> str:
    """Bytes as people read them."""
    for step, unit in _STEPS:
        if value >= step:
            return f"{value / step:.{1 if value < 10 * step else 0}f} {unit}"
    return f"{value} B"


def span(seconds: float | None) -> str:
    """A duration."""
    if seconds is None:
        return NONE
    return f"{seconds * 1000:.0f} ms" if 0 < seconds < 0.1 else spell(seconds)


def about(seconds: float) -> str:
    """A duration to the second."""
    return spell(round(seconds))


def when(at: datetime | None) -> Markup | str:
    """A time: in words how long ago it was or when it will be, and exactly for who wants to know."""
    if at is None:
        return NONE
    lapse = (datetime.now(UTC) - at).total_seconds()
    words = "just now" if abs(lapse) < 1 else f"{spell(lapse)} ago" if lapse > 0 else f"in {spell(-lapse)}"
    element = Markup('<time class="ago" datetime="{}" title="{}">{}</time>')
    return element.format(at.isoformat(), exact(at), words)


def after(at: datetime, begin: datetime) -> Markup:
    """A time as how long after another it was."""
    words = f"+{span(max((at - begin).total_seconds(), 0.0))}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), exact(at), words)


def exact(at: datetime) -> str:
    """A time as logs have it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def sentence(text: str) -> str:
    """The same with a capital letter, and a full stop where none is."""
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".!?" else "")


def parted(remedy: str) -> tuple[str, str, str]:
    """What is said before a command, the command, and what is said after it; each may be empty."""
    found = _COMMAND.search(remedy)
    if found is None:
        return remedy[:1].upper() + remedy[1:], "", ""
    before = remedy[: found.start()].strip()
    return before[:1].upper() + before[1:], found[0], remedy[found.end() :].strip("; ")


def document(value: Any) -> str:
    """What a job carries, as JSON that people read."""
    text = to_json(value, indent=2).decode(errors="replace")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n… {len(text) - LONGEST:,} characters more"


def path_of(root: str, path: str, query: Mapping[str, Any]) -> str:
    """An address below the service's root; what is empty is left out of the query."""
    given = {name: value for name, value in query.items() if value not in (None, "", [], ())}
    ending = f"?{urlencode(given, doseq=True, quote_via=quote)}" if given else ""
    return f"{root}{quote(path, safe='/:@')}{ending}"


def _template(name: str) -> str | None:
    file = files("distq.service.pages").joinpath("templates", name)
    return file.read_text("utf-8") if file.is_file() else None


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "hidden_entry": hidden_entry,
        "number": number,
        "share": share,
        "size": size,
        "span": span,
        "about": about,
        "after": after,
        "exact": exact,
        "when": when,
        "document": document,
        "sentence": sentence,
        "plural": plural,
        "parted": parted,
    }
    return environment


ENVIRONMENT = _environment()
