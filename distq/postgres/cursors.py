"""Statements, and cursors that read the answers the same way on every connection, ours or a caller's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import Format

Rows = list[tuple[Any, ...]]

_Y2K = 946_684_800_000_000
"""PostgreSQL's zero of time, in microseconds since 1970."""


class Statement(NamedTuple):
    """A statement and its parameters. `guarded`: it may refuse, and a caller's transaction survives that."""

    text: bytes
    parameters: Mapping[str, Any]
    guarded: bool = False


class _HexLoader(Loader):
    """Reads a uuid as 32 hex digits: a tenth of the cost of uuid.UUID."""

    format = Format.BINARY

    def load(self, data: Any) -> str:
        return bytes(data).hex()


class _EpochLoader(Loader):
    """Reads a timestamptz as seconds since 1970."""

    format = Format.BINARY

    def load(self, data: Any) -> float:
        return (int.from_bytes(data, "big", signed=True) + _Y2K) / 1e6


_ADAPTERS = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_loader("uuid", _HexLoader)
_ADAPTERS.register_loader("timestamptz", _EpochLoader)


class Cursor(psycopg.Cursor[Any]):
    """Knows our types whatever is registered with its connection."""

    @property
    def adapters(self) -> AdaptersMap:
        return _ADAPTERS


class AsyncCursor(psycopg.AsyncCursor[Any]):
    """The same for coroutines."""

    @property
    def adapters(self) -> AdaptersMap:
        return _ADAPTERS
