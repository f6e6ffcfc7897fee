"""The page's colours on light and on dark ground: each colour of a figure is a CSS variable with two values.

A shade that is meant for white paper is mixed with white for the dark one, the dark shades more than the
light ones, so that they keep their order and each stands out from the ground. Contrast is as WCAG 2 has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from matplotlib.colors import to_hex, to_rgb

DARK_PAPER = "#16181b"
_ROLES = {"#222222": "ink", "#000000": "ink", "#6a6a6a": "quiet", "#e4e4e4": "rule", "#ffffff": "paper"}
"""Colours of look.py that are no contender's; style.css has their values."""
_VARIABLE = re.compile(r"var\(--c-([0-9a-f]{6})\)")
_LEAST, _SHARE = 2.6, 0.75
"""A shade's contrast on dark paper: the least, and what it keeps of its own."""


def variable(shade: str) -> str:
    """The CSS that stands for a colour `#rrggbb` of a figure."""
    role = _ROLES.get(shade.lower())
    return f"var(--{role})" if role else f"var(--c-{shade.lower()[1:]})"


def palette(page: str) -> tuple[str, str]:
    """The declarations of all variables that a text uses: on light ground, on dark ground."""
    shades = [f"#{shade}" for shade in sorted(set(_VARIABLE.findall(page)))]
    return "".join(_declared(shades, dark=False)), "".join(_declared(shades, dark=True))


def _declared(shades: list[str], *, dark: bool) -> Iterator[str]:
    for shade in shades:
        yield f"--c-{shade[1:]}:{on_dark(shade) if dark else shade};"


def on_dark(shade: str) -> str:
    """The same colour for dark ground."""
    wanted = _LEAST + _SHARE * contrast(shade, DARK_PAPER)
    for percent in range(100):
        red, green, blue = (part + (1 - part) * percent / 100 for part in to_rgb(shade))
        mixed = to_hex((red, green, blue))
        if contrast(mixed, DARK_PAPER) >= wanted:
            return mixed
    return "#ffffff"


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(shade: str) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(shade)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
