"""Waits for hints: published messages that jobs are ready, are to be cancelled, or have ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import redis
from redis.client import PubSub
from redis.exceptions import RedisError

from distq.job import Heard
from distq.polling import readable
from distq.redis.target import Target

ANSWER_S = 5.0
"""How long the server may take to connect and to confirm a subscription."""


class RedisListener:
    """Hears the channels it is given, on a connection of its own. For one thread."""

    def __init__(
        self, target: Target, *, wake: Mapping[str, str], cancel: Iterable[str], ended: Iterable[str]
    ) -> None:
        """`wake` has the queue of each channel."""
        self._client = redis.Redis.from_url(
            target.url, retry=None, socket_connect_timeout=ANSWER_S, socket_timeout=ANSWER_S
        )
        self._wake = {channel.encode(): queue for channel, queue in wake.items()}
        self._cancel = {channel.encode() for channel in cancel}
        self._ended = {channel.encode() for channel in ended}
        self._subscription: PubSub | None = None

    def wait(self, *, timeout: float, wakeup: int) -> Heard:
        """Return what was heard; nothing after `timeout` seconds, or when `wakeup` is readable.

        A connection that is lost, or new, is a gap in what is heard. Where there is none the wait lasts until
        the timeout, and the next one tries again.
        """
        deadline = time.monotonic() + timeout
        if self._subscription is None and self._subscribe():
            return Heard(gap=True, sure=True)
        while not (heard := self._messages()) and (remaining := deadline - time.monotonic()) > 0:
            if wakeup in readable([wakeup, *self._descriptors()], remaining):
                return self._messages()
        return heard

    def _subscribe(self) -> bool:
        channels = self._wake.keys() | self._cancel | self._ended
        if not channels:
            return False
        try:
            self._subscription = self._client.pubsub()
            self._subscription.subscribe(*channels)
            for _ in channels:
                if self._subscription.get_message(timeout=ANSWER_S) is None:
                    raise redis.TimeoutError("no answer to a subscription")
            return True
        except (RedisError, OSError):
            self.close()
            return False

    def _descriptors(self) -> list[int]:
        if self._subscription is None:
            return []
        try:
            # redis-py offers no public way to wait for a message and for something else at once.
            return [self._subscription.connection._sock.fileno()]  # pyright: ignore
        except (OSError, AttributeError):
            self.close()
            return []

    def _messages(self) -> Heard:
        heard = Heard()
        try:
            while self._subscription and self._subscription.connection.can_read(0):  # pyright: ignore[reportOptionalMemberAccess]
                message = self._subscription.get_message(timeout=0)
                if message is not None:
                    heard = self._add(heard, message)
        except (RedisError, OSError, AttributeError):
            self.close()
            return heard._replace(gap=True)
        return heard

    def _add(self, heard: Heard, message: dict[str, Any]) -> Heard:
        channel, data = message["channel"], message["data"]
        if message["type"] != "message":
            return heard
        if channel in self._ended:
            return heard._replace(ended=heard.ended | set(data.decode().split()))
        if channel in self._cancel:
            return heard._replace(cancel=heard.cancel | {data.decode()})
        return heard._replace(ready={**heard.ready, self._wake[channel]: float("-inf")})

    def close(self) -> None:
        """Close the connection; the next wait opens another."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        self._client.close()
