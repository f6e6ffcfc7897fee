"""Brings the keys of a prefix to the version of this code.

No worker or client of an older one may run meanwhile.
"""

from __future__ import annotations

import re
from typing import Any

from distq.errors import StorageError
from distq.ids import QUEUE_NAME
from distq.redis import scripts
from distq.redis.executor import Call, Executor
from distq.redis.target import CODE_VERSION, OLDEST_CODE, Target

OLDEST_SERVER = (6, 2)
"""ZMSCORE, and LPOP with a count, are there since this version of Redis."""


def migrate(executor: Executor, target: Target) -> list[str]:
    """Check the server, load the scripts, convert older keys, write the version. Raises StorageError.

    It may be interrupted, repeated, and run by several at once.
    """
    client: Any = executor.client
    with target.translated():
        _check_server(str(client.info("server")["redis_version"]))
        found = target.check(executor.version(), migrating=True)
        executor.load_scripts()
        if found >= CODE_VERSION:
            return [f"keys {target.prefix}:*: nothing to do, they are at version {found}"]
        client.hset(target.key("meta"), "oldest_code", OLDEST_CODE)  # older code is refused from now on
        done = [_convert(client, target, queue) for queue in _old_queues(client, target)]
        client.hset(target.key("meta"), "version", CODE_VERSION)
    return [*done, f"keys {target.prefix}:*: set version {CODE_VERSION}", "scripts: loaded"]


def _old_queues(client: Any, target: Target) -> list[str]:
    """The queues that have jobs, by their keys: version 1 has no list of them."""
    names = re.compile(rf"{re.escape(target.prefix)}:\{{({QUEUE_NAME.pattern})\}}:(v1_\w+|jobs|results)")
    keys = client.scan_iter(match=f"{target.prefix}:{{*}}:*", count=1000)
    matches = (names.fullmatch(key.decode(errors="replace")) for key in keys)
    return sorted({match[1] for match in matches if match})


def _convert(client: Any, target: Target, queue: str) -> str:
    client.sadd(target.key("queues"), queue)
    call = Call("convert", scripts.queue_keys("convert", target.prefix, queue), [])
    converted = 0
    while step := client.execute_command(*call.command):
        converted += step
    return f"queue {queue}: {converted} entries converted"


def _check_server(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        raise StorageError(f"this Redis is {version}; distq needs 6.2 or newer, or Valkey")
