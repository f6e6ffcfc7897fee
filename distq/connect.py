"""From a URL to a storage: the one place that knows which stores there are."""

from __future__ import annotations

from distq.errors import ConfigurationError
from distq.storage import Storage


def connect(url: str) -> Storage:
    """The storage of a URL; nothing is contacted yet.

    Raises:
        ConfigurationError: no storage takes such a URL.
    """
    if not isinstance(url, str):
        raise ConfigurationError(
            f"the URL of a storage is a text, e.g. postgresql://localhost/app, not {type(url).__name__}"
        )
    match url.partition("://")[0]:
        case "postgresql" | "postgres":
            from distq.postgres.storage import PostgresStorage

            return PostgresStorage(url)
        case "redis" | "rediss" | "unix":
            from distq.redis.storage import RedisStorage

            return RedisStorage(url)
        case "memory":
            from distq.memory.storage import MemoryStorage

            return MemoryStorage()
    scheme, separator, _ = url.partition("://")
    what = f"a URL that begins with {scheme}://" if separator else "what has no ://"
    raise ConfigurationError(f"no storage takes {what}: use postgresql://, redis:// or memory://")
