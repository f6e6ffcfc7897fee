"""Durations and numbers as people write and read them."""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def seconds_of(text: str) -> float:
    """Seconds of `90s`, `1h`, `7d`: a number, and s, m, h, d or w after it. Raises ValueError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration: use a number and s, m, h, d or w, as in 90s, 1h, 7d")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def spell(seconds: float) -> str:
    """A duration in its two largest units: `2 h 5 min`, `42 s`, `0.3 s`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s".replace(".0 s", " s")
    for number, (size, unit) in enumerate(_UNITS):
        if seconds >= size:
            rest_size, rest_unit = _UNITS[number + 1] if size > 60 else (1, "s")
            rest = int(seconds % size // rest_size)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {rest_unit}" if rest else "")
    return f"{int(seconds)} s"


def plural(number: int, what: str) -> str:
    """So many of something: `1 job`, `2,000 jobs`, `2 crashes`."""
    ending = "" if number == 1 else "es" if what.endswith("sh") else "s"
    return f"{number:,} {what}{ending}"
