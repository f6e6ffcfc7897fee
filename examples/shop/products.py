"""What the shop sells."""

from __future__ import annotations

from decimal import Decimal

from psycopg import AsyncConnection
from psycopg.rows import class_row
from pydantic import BaseModel


class Product(BaseModel):
    """A product, its price in euros, and how many there are."""

    name: str
    price: Decimal
    stock: int


async def first(connection: AsyncConnection, limit: int) -> list[Product]:
    """Products by name."""
    async with connection.cursor(row_factory=class_row(Product)) as cursor:
        await cursor.execute("SELECT name, price, stock FROM shop.product ORDER BY name LIMIT %s", [limit])
        return await cursor.fetchall()
