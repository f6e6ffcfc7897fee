"""What is not the same in two runs' manifests, and which contenders it concerns. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenarios.controls import original

Manifest = Mapping[str, Any]
Path = tuple[str, ...]

ABSENT = "absent"
MACHINE = "machine"
_ADAPTERS = "adapters"

_IGNORED = {
    *(("run_id",), ("raw",), ("resumed",), ("servers", "rabbitmq", "cluster_name")),
    *((MACHINE, "load"), (MACHINE, "system")),
}
"""What is never the same, names, moments, hashes of results; and `system`, which says the kernel again."""
_OWN_OPTIONS = ("--out", "--resume", "--seed")
"""Of the command: folders; and the seed, which stands in the manifest by itself."""
_COMMIT = 10
_NOISE = {"syncs_per_second": 1.2, "memory_mb": 1.05}
"""Ratios up to which a measured number is the same as another."""


@dataclass(frozen=True)
class Difference:
    """Something that may explain why contenders are not as fast as they were."""

    what: str
    """Where it stands in the manifest, with dots between; `*` for several contenders."""
    old: str
    new: str
    concerns: frozenset[str]
    """Contenders that are known to use it."""
    others: bool
    """Whether others may use it too: the machine is everybody's, and nobody names all its packages."""

    def explains(self, changed: Collection[str]) -> list[str]:
        """Of the contenders that changed, those that are known to use it."""
        return sorted(name for name in changed if original(name) in self.concerns)


def differences(old: Manifest, new: Manifest) -> list[Difference]:
    """All that differs but for what always does, in the order of the older manifest.

    The same difference in the settings or promises of several contenders is one.
    """
    before, after = _prepared(old), _prepared(new)
    uses = _Uses(before, after)
    found: dict[tuple[str, str, str], list[Path]] = {}
    for path, was, now in _walk(before, after):
        place = path[2:] if path[0] == _ADAPTERS else path
        found.setdefault((".".join(place), was, now), []).append(path)
    return [_difference(key, paths, uses) for key, paths in found.items()]


def ordered(found: Sequence[Difference], changed: Collection[str]) -> list[Difference]:
    """First what contenders that changed are known to use, then what anybody may use, then the rest."""
    return sorted(found, key=lambda each: 0 if each.explains(changed) else 1 if each.others else 2)


def another_machine(old: Manifest, new: Manifest) -> bool:
    """Whether CPU, cores or memory are not the same."""
    hardware = ("cpu", "cores", "memory_mb")
    before, after = ({name: _part(each, MACHINE).get(name) for name in hardware} for each in (old, new))
    return any(_walk(before, after))


def _difference(key: tuple[str, str, str], paths: Sequence[Path], uses: _Uses) -> Difference:
    what, was, now = key
    if paths[0][0] == _ADAPTERS:
        what = f"{_ADAPTERS}.{paths[0][1] if len(paths) == 1 else '*'}.{what}"
    users = frozenset[str]().union(*map(uses.of, paths))
    return Difference(what, was, now, users, not users or paths[0][0] == "packages")


def _prepared(manifest: Manifest) -> dict[str, Any]:
    """With the command as its options, and the commit as one reads it."""
    command = manifest.get("command") or []
    words = command.split() if isinstance(command, str) else map(str, command)
    commit = manifest.get("commit")
    return {**manifest, "command": _options(words), "commit": commit and str(commit)[:_COMMIT]}


def _part(manifest: Manifest, name: str) -> Manifest:
    """A part of a manifest that is one itself, empty where it is missing."""
    part = manifest.get(name)
    return part if isinstance(part, Mapping) else {}


def _options(words: Iterable[str]) -> dict[str, str]:
    """`--jobs 100 --repeats=3` as a mapping; what stands before the first option is left out."""
    options: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = value
        elif name:
            options[name] = f"{options[name]} {word}".strip()
    return {name: value or "given" for name, value in options.items() if name not in _OWN_OPTIONS}


def _walk(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, str, str]]:
    """Where two trees differ, and how both ends read."""
    if path in _IGNORED or ("observed" in path[:-1] and path[-1].endswith("_s")):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            yield from _walk(old.get(name), new.get(name), (*path, str(name)))
    elif path == ("dirty",) and old and new:
        yield path, "yes", "yes, so the code may differ though the commit does not"
    elif old != new and not _one_sided(path) and not _alike(path, old, new):
        yield path, _shown(_without(old, new)), _shown(_without(new, old))


def _without(value: Any, other: Any) -> Any:
    """Of a list what the other one has not."""
    both = isinstance(value, list) and isinstance(other, list)
    return [item for item in value if item not in other] if both else value


def _one_sided(path: Path) -> bool:
    """Whether this is a contender as a whole: one that only one run has is told of elsewhere."""
    return path[0] == _ADAPTERS and len(path) == 2


def _alike(path: Path, old: Any, new: Any) -> bool:
    numbers = [each for each in (old, new) if isinstance(each, int | float) and not isinstance(each, bool)]
    noise = _NOISE.get(path[-1])
    return noise is not None and len(numbers) == 2 and max(numbers) <= noise * min(numbers)


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(map(_shown, value)) or "none"
    return value or '""' if isinstance(value, str) else json.dumps(value)


class _Uses:
    """Which contenders use a server or a package, by what their settings name."""

    def __init__(self, *manifests: Manifest) -> None:
        self._words: dict[str, set[str]] = {}
        self._sources: dict[str, str] = {}
        for manifest in manifests:
            contenders, servers = _part(manifest, _ADAPTERS), _part(manifest, "servers")
            for name in contenders:
                text = f"{name} {json.dumps(_part(_part(contenders, name), 'settings'))}".lower()
                self._words.setdefault(_contender(name), set()).update(re.findall(r"[a-z0-9]+", text))
            for server in servers:
                source = _part(servers, server).get("source", "")
                self._sources[server] = f"{self._sources.get(server, '')} {source}"

    def of(self, path: Path) -> set[str]:
        """The contenders that are known to use what stands there."""
        if len(path) < 2:
            return set()
        head, name = path[:2]
        if head == _ADAPTERS:
            return {_contender(name)}
        if head == "packages":
            carried = [server for server, source in self._sources.items() if name in source.split()]
            return self._users(name).union(*map(self._users, carried))
        return self._users(name) if head in ("servers", "unavailable") else set()

    def _users(self, word: str) -> set[str]:
        return {name for name, words in self._words.items() if word in words}


def _contender(name: str) -> str:
    """Whose entry it is: under another profile a contender has one of its own."""
    return name.partition(" (")[0]
