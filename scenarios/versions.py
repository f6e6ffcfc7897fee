"""Versions of this project as its users would have them: built into a wheel, and installed in a directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from scenarios.errands import ErrandFailed, Errands

ROOT = Path(__file__).resolve().parent.parent

_PACKAGES = ("adapters", "distq", "scenarios")
_WHERE = f"import {', '.join(_PACKAGES)}; print(*({', '.join(f'{name}.__file__' for name in _PACKAGES)}))"


class UnknownRevision(Exception):
    """Git knows no such commit; the message is one line."""


def find(revision: str | None = None) -> tuple[str, str]:
    """The name and the commit of a revision; of the last release unless one is named.

    Where nothing was released that is the branch main, and on main itself the commit before.

    Raises:
        UnknownRevision: there is none.
    """
    name = revision or _git("describe", "--tags", "--abbrev=0") or _unreleased()
    if commit := _commit(name):
        return name, commit
    raise UnknownRevision(f"{name!r} is no revision of the git repository in {ROOT}; name another")


def _unreleased() -> str:
    return "main~1" if _commit("main") == _commit("HEAD") else "main"


def _commit(name: str) -> str:
    return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def _git(*words: str) -> str:
    """What git answers; nothing where it cannot."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def install_commit(commit: str, directory: Path, errands: Errands) -> Path:
    """Install the project as it was. Returns the directory of its packages. Raises ErrandFailed."""
    tree, archive = directory / "tree", directory / "tree.tar"
    tree.mkdir(parents=True)
    errands.run(["git", "-C", ROOT, "archive", "--format", "tar", "--output", archive, commit])
    errands.run(["tar", "-xf", archive, "-C", tree])
    return _install(tree, directory, errands)


def install_working_tree(directory: Path, errands: Errands) -> Path:
    """The same of the files as they are now; what git ignores is left out."""
    tree = directory / "tree"
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    return _install(tree, directory, errands)


def _install(tree: Path, directory: Path, errands: Errands) -> Path:
    packages = directory / "packages"
    # As in .ci/install-package.sh: an environment that uv made has no pip.
    uv = ["uv", "pip", "install", "--python", sys.executable]
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    installer = uv if shutil.which("uv") else pip
    errands.run([*installer, "--no-deps", "--quiet", "--target", packages, tree])
    found = errands.python("-c", _WHERE, packages=packages).split()
    if strays := [path for path in found if not Path(path).is_relative_to(packages)]:
        raise ErrandFailed(f"{strays[0]} is imported instead of what is in {packages}")
    return packages
