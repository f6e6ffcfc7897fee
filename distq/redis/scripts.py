"""The Lua scripts as the server gets them: each with the prelude, the constants and the parts it uses."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from hashlib import sha1
from importlib.resources import files

from distq.job import AGEING, CRASH_BUDGET, CRASHED, HISTORY, REPLACED

_FOLDER = files("distq.redis") / "scripts"

_CONSTANTS = f"""\
local AGEING, BUDGET, HISTORY = {AGEING * 1e6:.0f}, {CRASH_BUDGET}, {HISTORY}
local CRASHED, REPLACED = [==[{CRASHED.decode()}]==], [==[{REPLACED.decode()}]==]
"""


@cache
def names() -> tuple[str, ...]:
    """Every script, but for the parts, whose names begin with `_`."""
    lua = (entry.name.removesuffix(".lua") for entry in _FOLDER.iterdir() if entry.name.endswith(".lua"))
    return tuple(sorted(name for name in lua if not name.startswith("_")))


@cache
def key_names(name: str) -> tuple[str, ...]:
    """The keys that a script's header lists, in the order of KEYS."""
    return tuple(re.findall(r"(\w+) \((?:hash|zset|set|string|list|channel)\)", _header(name, "KEYS")))


@cache
def text(name: str) -> str:
    """A script as the server gets it. Raises KeyError where it uses a key that its header does not list."""
    numbers = {key: number for number, key in enumerate(key_names(name), 1)}
    code = re.sub(r"--.*", "", _with_parts(_read("_prelude") + _read(name)))
    return _CONSTANTS + re.sub(r"\bkey\.(\w+)", lambda match: f"KEYS[{numbers[match[1]]}]", code)


def _with_parts(code: str) -> str:
    """The code with the parts in the place of the lines that name them."""

    def parts(match: re.Match[str]) -> str:
        return _with_parts("".join(_read(f"_{part}") for part in match[1].split(", ")))

    return re.sub(r"^ *-- WITH (.*)\n", parts, code, flags=re.MULTILINE)


@cache
def sha(name: str) -> str:
    """The digest by which the server knows a script."""
    return sha1(text(name).encode(), usedforsecurity=False).hexdigest()


@lru_cache(4096)
def queue_keys(name: str, prefix: str, queue: str) -> tuple[bytes, ...]:
    """The keys of a script for a queue, in the order of KEYS."""
    return tuple(f"{prefix}:{{{queue}}}:{key}".encode() for key in key_names(name))


@cache
def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text("utf-8")


def _header(name: str, word: str) -> str:
    """What a script's header says after a word, without the marks of comments."""
    match = re.search(rf"^-- {word} ((?:.*\n)(?:--   .*\n)*)", _read(name), re.MULTILINE)
    return match[1].replace("--", "") if match else ""
