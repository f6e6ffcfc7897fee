"""Reports: what was sold on a day, until a moment of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row
from pydantic import BaseModel


class Report(BaseModel):
    """Orders and turnover of the day that ends, or is under way, at `until`."""

    until: datetime
    orders: int
    turnover: Decimal


def make(connection: Connection, until: datetime) -> int:
    """Make the report of a moment, unless it is there; returns how many orders are in it."""
    connection.execute(
        "INSERT INTO shop.report (until, orders, turnover)"
        " SELECT %(until)s, count(*), coalesce(sum(total), 0) FROM shop.orders"
        " WHERE placed_at < %(until)s"
        " AND placed_at >= date_trunc('day', %(until)s - interval '1 second', 'UTC')"
        " ON CONFLICT DO NOTHING",
        {"until": until},
    )
    row = connection.execute("SELECT orders FROM shop.report WHERE until = %s", [until]).fetchone()
    assert row
    return row[0]


async def latest(connection: AsyncConnection, limit: int) -> list[Report]:
    """The latest reports, the last first."""
    async with connection.cursor(row_factory=class_row(Report)) as cursor:
        await cursor.execute(
            "SELECT until, orders, turnover FROM shop.report ORDER BY until DESC LIMIT %s", [limit]
        )
        return await cursor.fetchall()
