"""The private RabbitMQ node, with a private epmd: no other Erlang on the machine is met."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from importlib.util import find_spec
from typing import ClassVar
from urllib.parse import urlsplit

from adapters.base import Service
from scenarios.servers.binaries import Binary, on_system, search_path
from scenarios.servers.private import (
    ANSWER_S,
    HOST,
    PROBE_S,
    PrivateServer,
    ServerError,
    free_port,
    no_answer,
)

CONFIGURATION = f"""
listeners.tcp.default = {HOST}:%d
disk_free_limit.absolute = 50MB
# The default of 0.4 would stop publishers early in a small container.
vm_memory_high_watermark.relative = 0.8
"""

FILES = {
    "RABBITMQ_CONFIG_FILE": "rabbitmq.conf",
    "RABBITMQ_CONFIG_FILES": "no-conf.d",
    "RABBITMQ_ADVANCED_CONFIG_FILE": "no-advanced.config",
    "RABBITMQ_CONF_ENV_FILE": "no-env.conf",
    "RABBITMQ_ENABLED_PLUGINS_FILE": "enabled_plugins",
    "RABBITMQ_MNESIA_BASE": "data",
    "RABBITMQ_LOG_BASE": "logs",
}

PROPERTIES = ("product", "version", "platform", "cluster_name")


class RabbitMQServer(PrivateServer):
    """One node without plugins, for user `guest`."""

    service: ClassVar[Service] = Service.RABBITMQ
    title = "RabbitMQ"
    option = "--amqp-url"
    variable = "DISTQ_AMQP_URL"
    schemes = ("amqp", "amqps")
    url_form = "amqp://user:password@host:5672/%2F"

    @staticmethod
    def find() -> Binary:
        # /usr/sbin/rabbitmq-server of the packages is a wrapper that becomes user rabbitmq, and its node.
        binary = on_system("rabbitmq-server", first="/usr/lib/rabbitmq/bin")
        if binary is None:
            raise ServerError(
                "no RabbitMQ found: apt-get install rabbitmq-server (brew: rabbitmq), or pass --amqp-url"
            )
        return binary

    @staticmethod
    def read_back(url: str) -> dict[str, str]:
        properties = server_properties(url)
        log_in(url)
        return properties

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{HOST}:{self.port}/%2F"

    def prepare(self) -> None:
        (self.directory / "enabled_plugins").write_text("[].")

    def launch(self) -> subprocess.Popen[bytes]:
        (self.directory / "rabbitmq.conf").write_text(CONFIGURATION % self.port)
        epmd_port = self._launch_epmd()
        return self.spawn([self.binary.path], env=self._environment(epmd_port))

    def is_ready(self) -> bool:
        try:
            return server_properties(self.url, PROBE_S)["cluster_name"].startswith(f"{self._node}@")
        except ServerError:
            return False

    @property
    def _node(self) -> str:
        return f"distq{self.port}"

    def _launch_epmd(self) -> int:
        """Start the node's own name server, in the foreground so that it ends with us; returns its port."""
        program = shutil.which("epmd", path=search_path())
        if program is None:
            raise ServerError("RabbitMQ needs epmd, a part of Erlang, which is not in PATH: reinstall Erlang")
        port = free_port()
        # -d: without it epmd ends without a word where its port is taken.
        epmd = self.spawn([program, "-d", "-port", str(port), "-address", HOST])
        self.wait_for(epmd, lambda: _accepts(port))
        return port

    def _environment(self, epmd_port: int) -> dict[str, str]:
        """Everything that would otherwise be read from, or written to, the system's own RabbitMQ."""
        own = {name: str(self.directory / value) for name, value in FILES.items()}
        return own | {
            "RABBITMQ_NODENAME": f"{self._node}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_LOGS": "-",
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(epmd_port),
            # Should ours fail, none is started behind our back to stay for ever.
            "ERL_FLAGS": "-start_epmd false",
        }


def server_properties(url: str, timeout: float = ANSWER_S) -> dict[str, str]:
    """What the broker says of itself in the first frame of a connection, before anybody logs in.

    Raises:
        ServerError: it does not answer, or not in AMQP.
    """
    try:
        with _connect(url, timeout) as connection, connection.makefile("rb") as answer:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            header = answer.read(7)
            start = answer.read(int.from_bytes(header[3:7]))
    except OSError as error:
        raise no_answer("RabbitMQ", url, str(error)) from None
    if header[:1] != b"\x01" or start[:4] != b"\x00\x0a\x00\x0a":  # a method frame: Connection.Start
        raise no_answer("RabbitMQ", url, "it does not speak AMQP 0-9-1")
    return {name: _text(start, name) for name in PROPERTIES}


def log_in(url: str) -> None:
    """Try user, password and virtual host, where pika is there to do so."""
    if find_spec("pika") is None:
        return
    import pika
    from pika.exceptions import AMQPError

    try:
        pika.BlockingConnection(pika.URLParameters(url)).close()
    except (AMQPError, OSError, ValueError) as error:
        raise no_answer("RabbitMQ", url, str(error)) from None


def _connect(url: str, timeout: float) -> socket.socket:
    parts = urlsplit(url)
    host, secure = parts.hostname or "localhost", parts.scheme == "amqps"
    connection = socket.create_connection((host, parts.port or (5671 if secure else 5672)), timeout)
    return (
        ssl.create_default_context().wrap_socket(connection, server_hostname=host) if secure else connection
    )


def _accepts(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((HOST, port)) == 0


def _text(table: bytes, key: str) -> str:
    """A string of an AMQP field table: a short key, the tag `S`, four bytes of length, the text."""
    _, found, rest = table.partition(bytes([len(key)]) + key.encode() + b"S")
    size = int.from_bytes(rest[:4])
    return rest[4 : 4 + size].decode() if found else "not said"
