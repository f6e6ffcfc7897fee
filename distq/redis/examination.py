"""Looks for what, in how a Redis server is set up, could lose jobs, stop them or slow them down."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from redis.exceptions import ResponseError

from distq.errors import SchemaError
from distq.finding import Finding, Severity, clock, hints, unseen
from distq.redis.executor import Executor
from distq.redis.listener import RedisListener
from distq.redis.migration import OLDEST_SERVER
from distq.redis.target import CODE_VERSION, Target

ARRIVAL_S = 1.0
"""How long a published message may take."""

FULL = 0.8
"""The share of the server's memory from which on it is time to act."""


class Examination:
    """The checks of one server."""

    def __init__(self, executor: Executor, target: Target) -> None:
        self._executor, self._target = executor, target
        self._client: Any = executor.client

    def make(self) -> list[Finding]:
        """Make all checks. Raises StorageUnavailable."""
        with self._target.translated():
            checks: dict[str, Callable[[], list[Finding]]] = {
                "server": self._server,
                "keys": self._version,
                "eviction": self._eviction,
                "memory": self._memory,
                "persistence": self._persistence,
                "wake-ups": self._hints,
                "clocks": self._clock,
            }
            return [finding for what, check in checks.items() for finding in _made(what, check)]

    def _server(self) -> list[Finding]:
        info = self._client.info("server")
        version, valkey = str(info["redis_version"]), info.get("valkey_version")
        what = f"server: Valkey {valkey}" if valkey else f"server: Redis {version}"
        if tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_SERVER:
            return [Finding(Severity.OK, what)]
        why = "the scripts of distq use commands that it does not have"
        return [Finding(Severity.PROBLEM, what, why, "upgrade it to Redis 6.2 or newer, or Valkey")]

    def _version(self) -> list[Finding]:
        what = f"keys {self._target.prefix}:*:"
        try:
            found = self._target.check(self._executor.version(), migrating=True)
        except SchemaError:
            why = "they need a newer distq, this one is refused"
            return [Finding(Severity.PROBLEM, f"{what} too new", why, "pip install --upgrade distq")]
        if found == CODE_VERSION:
            return [Finding(Severity.OK, f"{what} are of version {found}")]
        if found == 0:
            why = "keys of an older distq would not be noticed, and code that is too old not refused"
            return [Finding(Severity.WARNING, f"{what} were never migrated", why, "distq migrate")]
        if found < CODE_VERSION:
            why = f"this distq needs version {CODE_VERSION}, and refuses to work"
            return [Finding(Severity.PROBLEM, f"{what} are of version {found}", why, "distq migrate")]
        why = f"this distq is made for version {CODE_VERSION}, and may still work with them"
        return [Finding(Severity.NOTE, f"{what} are of version {found}", why, "pip install --upgrade distq")]

    def _eviction(self) -> list[Finding]:
        policy = self._client.info("memory").get("maxmemory_policy", "noeviction")
        if policy == "noeviction":
            return [Finding(Severity.OK, "eviction: maxmemory-policy is noeviction")]
        why = (
            "when its memory is full the server deletes keys, and so whole queues, instead of refusing writes"
        )
        remedy = "redis-cli CONFIG SET maxmemory-policy noeviction   (and in redis.conf)"
        return [Finding(Severity.PROBLEM, f"eviction: maxmemory-policy is {policy}", why, remedy)]

    def _memory(self) -> list[Finding]:
        memory = self._client.info("memory")
        used, most = memory["used_memory"], memory.get("maxmemory") or memory.get("total_system_memory", 0)
        what = f"memory: {used / 2**20:,.0f} of {most / 2**20:,.0f} MiB are used"
        if used < FULL * most:
            return [Finding(Severity.OK, what)]
        why = "when it is full nothing can be enqueued; what runs is still settled"
        return [Finding(Severity.WARNING, what, why, "distq prune --older 1d; or raise maxmemory")]

    def _persistence(self) -> list[Finding]:
        state = self._client.info("persistence")
        if not state.get("aof_enabled"):
            return [*_failing(state), self._snapshots()]
        sync = self._client.config_get("appendfsync").get("appendfsync", "everysec")
        if sync == "no":
            why = "the operating system decides when jobs reach the disk, after up to half a minute"
            remedy = "redis-cli CONFIG SET appendfsync everysec   (and in redis.conf)"
            return [
                *_failing(state),
                Finding(Severity.WARNING, "persistence: AOF, appendfsync no", why, remedy),
            ]
        lost = "" if sync == "always" else ": a crash may lose the last second"
        return [*_failing(state), Finding(Severity.OK, f"persistence: AOF, appendfsync {sync}{lost}")]

    def _snapshots(self) -> Finding:
        remedy = "redis-cli CONFIG SET appendonly yes   (and in redis.conf)"
        if self._client.config_get("save").get("save"):
            why = "a restart loses all jobs since the last snapshot, which may be an hour old"
            return Finding(Severity.WARNING, "persistence: snapshots only (RDB)", why, remedy)
        return Finding(Severity.PROBLEM, "persistence: none", "a restart loses all jobs", remedy)

    def _hints(self) -> list[Finding]:
        """As workers wait for them: on the listener's own connection."""
        channel = self._target.key(f"doctor:{secrets.token_hex(8)}")
        wakeup, waker = os.pipe()
        with closing(RedisListener(self._target, wake={channel: channel}, cancel=[], ended=[])) as listener:
            connected = listener.wait(timeout=ARRIVAL_S, wakeup=wakeup)
            self._client.publish(channel, "")
            arrives = connected.gap and bool(listener.wait(timeout=ARRIVAL_S, wakeup=wakeup).ready)
        os.close(wakeup)
        os.close(waker)
        remedy = f"redis-cli ACL SETUSER USER '&{self._target.prefix}:*' +subscribe +publish"
        return [hints("publish", arrive=arrives, remedy=remedy)]

    def _clock(self) -> list[Finding]:
        before = time.time()
        seconds, microseconds = self._client.time()
        after = time.time()
        return [clock(seconds + microseconds / 1e6 - (before + after) / 2)]


def _made(what: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except ResponseError as error:
        return [unseen(what, error)]


def _failing(state: dict[str, Any]) -> list[Finding]:
    """What the server says of its last attempts to write to the disk."""
    return [
        Finding(
            Severity.PROBLEM,
            f"persistence: the last {what} failed",
            "the server refuses writes, or does not keep them",
            "look at the server's log and at the space on its disk",
        )
        for name, what in (
            ("aof_last_write_status", "write of the AOF"),
            ("rdb_last_bgsave_status", "snapshot"),
        )
        if state.get(name, "ok") != "ok"
    ]
