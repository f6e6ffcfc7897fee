"""A PgBouncer of the tests' own in front of their PostgreSQL, in transaction mode and with a certificate."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
import trustme
from psycopg.conninfo import conninfo_to_dict

from tests.helpers import eventually

INI = """
[databases]
* = host={host} port={port} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
client_tls_sslmode = allow
client_tls_key_file = {directory}/key.pem
client_tls_cert_file = {directory}/cert.pem
user = {account}
"""


class Pooler(NamedTuple):
    """A PgBouncer that runs."""

    url: str
    authority: Path
    """The certificate of the authority that its own is from."""


@contextmanager
def open_pooler(postgres_url: str, directory: Path) -> Iterator[Pooler]:
    """Run a PgBouncer, its files in a directory. Without the program the test is skipped, in CI it fails."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/opt/homebrew/bin")
    if program is None:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("no pgbouncer: install the system's package")
    authority = certify(directory)
    server, port = conninfo_to_dict(postgres_url), free_port()
    account = "nobody" if os.getuid() == 0 else ""
    ini = directory / "pgbouncer.ini"
    ini.write_text(
        INI.format(
            host=server["host"],
            port=server["port"],
            user=server["user"],
            password=server.get("password", "none"),
            listen=port,
            directory=directory,
            account=account,
        ).replace("user = \n", "")
    )
    process = subprocess.Popen([program, "-q", str(ini)])
    url = f"postgresql://127.0.0.1:{port}/{server['dbname']}"
    try:
        eventually(lambda: answers(url))
        yield Pooler(url, authority)
    finally:
        process.terminate()
        process.wait(10)


def certify(directory: Path) -> Path:
    """Write a key and a certificate; gives the certificate of their authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    return directory / "ca.pem"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, user="any", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
