"""Behind PgBouncer in transaction mode: no prepared statements, no notifications, and everything works."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import trustme
from psycopg.conninfo import conninfo_to_dict

from distq import DistQ, JobCancelled, JobFailed, JobNotFound, JobState, StorageUnavailable
from tests import worker_app
from tests.helpers import eventually
from tests.world import World, end, open_world, url_of

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


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where PgBouncer's configuration is, and its certificate, and that of the authority it is from."""
    directory, authority = tmp_path_factory.mktemp("pgbouncer"), trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    return directory


@pytest.fixture(scope="module")
def bouncer(postgres_url: str, directory: Path) -> Iterator[str]:
    """The URL of a PgBouncer before the tests' PostgreSQL."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/opt/homebrew/bin")
    if program is None:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("no pgbouncer: install the system's package")
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
        yield url
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, user="any", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def world(
    request: pytest.FixtureRequest, bouncer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    """The world of `tests.worker_app` behind PgBouncer."""
    schema = url_of(request, "postgres").partition("schema=")[2]
    url = f"{bouncer}?user=any&schema={schema}&prepare=off"
    with open_world(worker_app.app, "tests.worker_app", url, tmp_path / "notes", monkeypatch) as world:
        yield world


def test_jobs_run_and_give_results(world: World) -> None:
    pool = world.start("--processes", "3")
    jobs = worker_app.add.enqueue_many([(n, n) for n in range(500)])
    assert [job.result(timeout=20) for job in jobs[::50]] == list(range(0, 1000, 100))
    assert worker_app.aadd.options(key="k", priority=3).enqueue(1, 2).result(timeout=20) == 3
    with pytest.raises(JobFailed, match="always"):
        worker_app.fail.enqueue().result(timeout=20)
    assert end(pool) == 0


def test_a_running_job_is_cancelled(world: World) -> None:
    world.start("--processes", "1", "--ttl", "3")
    job = worker_app.polite.enqueue("a")
    eventually(lambda: world.noted("begin a"), timeout=20)
    assert job.cancel() is JobState.LEASED
    with pytest.raises(JobCancelled):
        job.result(timeout=20)


def test_an_enqueue_joins_the_callers_transaction(world: World, bouncer: str) -> None:
    with psycopg.connect(bouncer, user="any") as connection:
        gone = worker_app.add.options(connection=connection).enqueue(1, 2)
        connection.rollback()
        kept = worker_app.add.options(connection=connection).enqueue(1, 2)
    world.start("--processes", "1")
    assert kept.result(timeout=20) == 3
    with pytest.raises(JobNotFound):
        assert gone.state


def test_the_certificate_is_checked_where_the_url_asks_for_it(
    request: pytest.FixtureRequest, bouncer: str, directory: Path, tmp_path: Path
) -> None:
    schema = url_of(request, "postgres").partition("schema=")[2]
    place = f"{bouncer}?user=any&schema={schema}&prepare=off&sslmode=verify-full&sslrootcert="
    app = DistQ(f"{place}{directory / 'ca.pem'}")
    app.storage.migrate()
    assert app.task(name="t")(lambda: 3).enqueue().state is JobState.READY
    app.close()
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    stranger = DistQ(f"{place}{tmp_path / 'other.pem'}")
    with pytest.raises(StorageUnavailable, match="certificate verify failed"):
        stranger.task(name="t")(lambda: 3).enqueue()
