"""The disk under the servers: where it is, and what it is."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from scenarios.servers.private import ServerError


def find_disk() -> Path:
    """Where the servers' files go: TMPDIR, else a place on disk, since /tmp is often kept in memory.

    Raises:
        ServerError: no directory will do.
    """
    for name in filter(None, (os.environ.get("TMPDIR"), "/var/tmp", "/tmp")):
        path = Path(name).resolve()
        if os.access(path, os.W_OK | os.X_OK) and (os.geteuid() != 0 or all_may_enter(path)):
            return path
    raise ServerError("no place for the servers' files: set TMPDIR to a directory that every user may enter")


def filesystem(path: Path) -> str:
    """The kind of file system that holds the path, e.g. `ext4`: on `tmpfs` an fsync costs nothing."""
    mounts = [mount for mount in psutil.disk_partitions(all=True) if path.is_relative_to(mount.mountpoint)]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype


def all_may_enter(path: Path) -> bool:
    """Whether the directory is open to the unprivileged user that runs a server for root."""
    return all(directory.stat().st_mode & 0o001 for directory in (path, *path.parents))
