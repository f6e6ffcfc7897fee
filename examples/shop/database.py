"""The shop's connections to PostgreSQL: a pool for coroutines, and one for threads."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

START_S = 10.0
"""Seconds that the server has to answer the first time."""

WAIT_S = 5.0
"""Seconds that somebody waits for a connection."""

SCHEMA = Path(__file__).with_name("schema.sql")


class Database:
    """Both pools of one process. Nothing is connected before `open`."""

    def __init__(self, url: str) -> None:
        self.coroutines = AsyncConnectionPool(url, min_size=1, max_size=8, timeout=WAIT_S, open=False)
        self.threads = ConnectionPool(url, min_size=1, max_size=8, timeout=WAIT_S, open=False)

    async def open(self) -> None:
        """Connect. Raises psycopg_pool.PoolTimeout where the server does not answer."""
        await self.coroutines.open(wait=True, timeout=START_S)
        self.threads.open(wait=True, timeout=START_S)

    async def close(self) -> None:
        """Close the connections."""
        await self.coroutines.close()
        self.threads.close()


def migrate(url: str) -> None:
    """Make the shop's tables where they are missing."""
    with psycopg.connect(url) as connection:
        connection.execute(SCHEMA.read_bytes())
