"""Where the keys are: the server's URL, the prefix, and which versions of the keys this code knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from distq import urls
from distq.errors import ConfigurationError, SchemaError, StorageError, StorageUnavailable

CODE_VERSION = 2
"""The version of the keys that this code is written for."""

OLDEST_CODE = 2
"""The oldest `CODE_VERSION` that can work with the keys as this code leaves them."""

DEFAULT_PREFIX = "distq"

LOST = (ConnectionError, TimeoutError)
"""redis-py's errors that mean that the answer will not come."""

_OPTIONS = {"db", "username", "password", "client_name", "socket_timeout", "socket_connect_timeout"}
_TLS_OPTIONS = {
    *("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_password"),
    *("ssl_cert_reqs", "ssl_check_hostname"),
}
"""What a URL may say to redis-py; the rest would change how it answers, or how many connections there are."""


@dataclass(frozen=True)
class Target:
    """Where to connect, which prefix, and how to name it in messages without its secrets."""

    url: str = field(repr=False)
    prefix: str

    @property
    def where(self) -> str:
        parts = urlsplit(self.url)
        host = f"{parts.hostname or 'localhost'}:{parts.port or 6379}" if parts.scheme != "unix" else ""
        return f"{parts.scheme}://{host}{parts.path}"

    def key(self, name: str) -> str:
        """A key that is no queue's."""
        return f"{self.prefix}:{name}"

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise redis-py's errors as distq's."""
        try:
            yield
        except LOST as error:
            raise StorageUnavailable(self.where, error) from error
        except RedisError as error:
            if "WRONGTYPE" in str(error):
                raise SchemaError(
                    f"keys {self.prefix}:* are not of version {CODE_VERSION}: run `distq migrate` ({error})"
                ) from error
            raise StorageError(f"storage {self.where} refused: {error}") from error

    def check(self, version: Sequence[Any], *, migrating: bool = False) -> int:
        """The version of the keys; `version` is what META holds, and 0 is that nothing says it.

        Raises SchemaError where this code is too old for them, or they are for this code.
        """
        found, oldest = (int(value or 0) for value in version)
        if oldest > CODE_VERSION:
            raise SchemaError(
                f"keys {self.prefix}:* are at version {found}, which needs code of version {oldest} or newer;"
                f" this distq is {CODE_VERSION}: upgrade distq"
            )
        if 0 < found < CODE_VERSION and not migrating:
            raise SchemaError(
                f"keys {self.prefix}:* are at version {found}, this distq needs {CODE_VERSION}:"
                " run `distq migrate`"
            )
        return found


def parse(url: str) -> Target:
    """The target of a URL. Raises ConfigurationError."""
    parts, options = urls.split("Redis", url)
    prefix = options.pop("prefix", DEFAULT_PREFIX)
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", prefix):
        raise ConfigurationError(
            f"?prefix={prefix!r} cannot be a prefix: letters, digits, '_', '.', ':', '-'"
        )
    known = _OPTIONS | (_TLS_OPTIONS if parts.scheme == "rediss" else set())
    if unknown := sorted(options.keys() - known):
        raise urls.no_option("Redis", url, unknown[0])
    if parts.scheme == "unix" and (parts.hostname or not parts.path):
        raise ConfigurationError("not a Redis URL: a socket is unix:///and/its/path")
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ConfigurationError(f"not a Redis URL: {parts.path!r} is no number of a database, as in /0")
    plain = urls.join(parts, options)
    try:
        redis.ConnectionPool.from_url(plain).make_connection()
    except (ValueError, TypeError, RedisError) as error:
        raise urls.unusable("Redis", url, error) from None
    return Target(plain, prefix)
