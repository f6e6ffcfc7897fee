"""A figure as SVG for the page: small, in the page's colours, each contender's marks named.

matplotlib draws it; here its XML is made part of an HTML page: text stays text, every colour becomes a CSS
variable, so that the page may be light or dark, and what belongs to a contender carries `data-contender`, so
that the page may hide it. The same figure gives the same text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import same_color, to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation, Text

from scenarios.look import Picture, colour
from scenarios.page.shades import variable

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_UNDATED = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "distq"}
_MARK, _NAME, _INSIDE = "mark", "name", "inside"
"""Kinds of what belongs to a contender: drawn for it, its name, and text on a coloured ground."""
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_NUMBER = re.compile(r"-?\d+\.\d+")
_STEP = re.compile(r"([MLCQz])([^MLCQz]*)")


def inline(picture: Picture, contenders: Sequence[str], key: str, label: str) -> Markup:
    """A figure as an `<svg>` of an HTML page.

    Args:
        contenders: whose marks are to be found.
        key: unique in the page: what the figure refers to inside itself begins with it.
        label: what it shows, for who does not see it.
    """
    for axes in picture.axes:
        _tag_axes(axes, contenders)
    _tag_legends(picture, contenders)
    target = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        FigureCanvasSVG(picture).print_svg(target, metadata=_UNDATED)
    root = ElementTree.fromstring(target.getvalue())
    _settle(root, key)
    root.attrib.update({"role": "img", "aria-label": label})
    return Markup(ElementTree.tostring(root, encoding="unicode"))


# -- whose mark is it --------------------------------------------------------------------------------


def _tag_axes(axes: Axes, contenders: Sequence[str]) -> None:
    """By its row where the contenders stand down the side, else by its label, or by its colour, which two
    contenders may share: then it is of both.
    """
    labels = axes.get_yticklabels()
    places = {int(label.get_position()[1]): label.get_text() for label in labels}
    if places and set(places.values()) <= set(contenders):
        for label in labels:
            _tag(label, [label.get_text()], _NAME)
        for artist, y in _placed(axes):
            if y in places:
                inside = isinstance(artist, Text) and not isinstance(artist, Annotation)
                _tag(artist, [places[int(y)]], _INSIDE if inside else _MARK)
        return
    for container in axes.containers:
        for artist in container.get_children():
            _tag(artist, [name for name in contenders if name == container.get_label()], _MARK)
    for artist in (*axes.lines, *axes.collections):
        _tag(artist, [name for name in contenders if _is_of(artist, colour(name))], _MARK)


def _placed(axes: Axes) -> Iterator[tuple[Artist, float]]:
    """What lies at one y of the data, and at which."""
    for text in axes.texts:
        yield text, (text.xy if isinstance(text, Annotation) else text.get_position())[1]
    for patch in axes.patches:
        if isinstance(patch, Rectangle):
            yield patch, round(patch.get_y() + patch.get_height() / 2, 6)
    for line in axes.lines:
        heights = np.unique(np.asarray(line.get_ydata(), dtype=np.float64))
        if heights.size == 1:
            yield line, float(heights[0])


def _is_of(artist: Artist, ink: str) -> bool:
    if isinstance(artist, Line2D):
        return same_color(artist.get_color(), ink)
    return any(to_hex(edge) == to_hex(ink) for edge in getattr(artist, "get_edgecolor", list)())


def _tag_legends(picture: Picture, contenders: Sequence[str]) -> None:
    for legend in picture.legends:
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            name = text.get_text().partition("\n")[0]
            if name in contenders and handle is not None:
                _tag(handle, [name], _NAME)
                _tag(text, [name], _NAME)


def _tag(artist: Artist, names: Sequence[str], kind: str) -> None:
    """matplotlib writes the gid as the id of a group, where `_settle` reads it. The first one given holds."""
    if names and artist.get_gid() is None:
        artist.set_gid(f"{kind}:{' '.join(names)}")


# -- from a file of its own to a part of the page --------------------------------------------------------


def _settle(root: ElementTree.Element, key: str) -> None:
    # Rules that would hold for all of the page: style.css has them.
    for element in root.findall(f"{_SVG}defs"):
        root.remove(element)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    referred = set(re.findall(r"#(\w+)", " ".join(_references(root))))
    _settle_element(root, key, referred, inside=False)


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        yield element.get(_LINK, "")
        yield element.get("clip-path", "")


def _settle_element(element: ElementTree.Element, key: str, referred: set[str], *, inside: bool) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    element.text = (element.text or "").strip() or None
    element.tail = None
    kind, colon, names = element.attrib.pop("id", "").partition(":")
    if colon:
        element.attrib.update({"class": kind, "data-contender": names})
    elif kind in referred:
        element.set("id", f"{key}-{kind}")
    inside |= kind == _INSIDE
    for name, value in list(element.attrib.items()):
        _settle_attribute(element, name, value, key, inside=inside)
    for child in element:
        _settle_element(child, key, referred, inside=inside)


def _settle_attribute(element: ElementTree.Element, name: str, value: str, key: str, *, inside: bool) -> None:
    if name == _LINK:
        del element.attrib[name]
        element.set("href", value.replace("#", f"#{key}-"))
    elif name == "clip-path":
        element.set(name, value.replace("#", f"#{key}-"))
    elif name == "style":
        element.set(name, _style(value, inside=inside))
    elif name == "transform" and value.startswith("rotate(-0 "):
        del element.attrib[name]
    elif name in ("x", "y", "transform"):
        element.set(name, _NUMBER.sub(lambda number: _short(number[0], 2), value))
    elif name == "d":
        element.set(name, _path(value))


def _style(style: str, *, inside: bool) -> str:
    """Text on a coloured ground keeps its colour; the page chooses the font."""
    rules = [rule for rule in style.split("; ") if not rule.startswith("font-family")]
    short = ";".join(rule.replace(": ", ":") for rule in rules)
    return short if inside else _HEX.sub(lambda shade: variable(shade[0]), short)


def _path(path: str) -> str:
    """A path in few letters: to a tenth of a point, or a hundredth where it is curved, as markers are."""
    digits = 2 if "C" in path else 1
    parts: list[str] = []
    before = ("", "")
    for command, given in _STEP.findall(path):
        at = [_short(number, digits) for number in given.split()]
        if command == "L" and tuple(at) == before:
            continue
        if command == "L" and at[1] == before[1]:
            parts.append(f"H{at[0]}")
        elif command == "L" and at[0] == before[0]:
            parts.append(f"V{at[1]}")
        else:
            parts.append(command + " ".join(at))
        before = (*before, *at)[-2:]
    return "".join(parts)


def _short(number: str, digits: int) -> str:
    return f"{round(float(number), digits):g}"
