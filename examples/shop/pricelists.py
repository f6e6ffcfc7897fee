"""Price lists of a supplier, CSV with the columns name, price and stock, and their way into the products."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

from psycopg import AsyncConnection, Connection
from pydantic import BaseModel, Field, ValidationError

from examples.shop.errors import BadPriceList, NotFound

LARGEST = 5 * 2**20
"""Bytes of a price list at most."""


class Price(BaseModel):
    """A row of a price list."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
    price: Annotated[Decimal, Field(ge=0, le=1_000_000)]
    stock: Annotated[int, Field(ge=0, le=2_000_000_000)]


def parse(content: bytes) -> list[Price]:
    """The rows of a price list. Raises BadPriceList."""
    try:
        rows = csv.DictReader(io.StringIO(content.decode()), strict=True)
        return [_price(number, row) for number, row in enumerate(rows, start=2)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadPriceList(f"not a CSV file in UTF-8: {error}") from None


def _price(line: int, row: dict[str, str]) -> Price:
    try:
        return Price.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadPriceList(f"line {line}, {first['loc'][0]}: {first['msg']}") from None


def sample(rows: int) -> bytes:
    """The price list of a wine merchant."""
    lines = [f"wine {number:05},{5 + number % 40}.{number % 100:02},{number % 500}" for number in range(rows)]
    return "\n".join(["name,price,stock", *lines]).encode()


async def insert(connection: AsyncConnection, content: bytes) -> int:
    """Keep a price list; returns its number."""
    cursor = await connection.execute(
        "INSERT INTO shop.pricelist (content) VALUES (%s) RETURNING id", [content]
    )
    row = await cursor.fetchone()
    assert row
    return row[0]


async def note_job(connection: AsyncConnection, pricelist_id: int, job: str) -> None:
    """Keep which job imports it."""
    await connection.execute("UPDATE shop.pricelist SET job = %s WHERE id = %s", [job, pricelist_id])


async def job_of(connection: AsyncConnection, pricelist_id: int) -> str:
    """The job that imports a price list. Raises NotFound."""
    cursor = await connection.execute("SELECT job FROM shop.pricelist WHERE id = %s", [pricelist_id])
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        raise NotFound(f"there is no import {pricelist_id}")
    return row[0]


async def latest(connection: AsyncConnection, limit: int) -> list[int]:
    """The numbers of the latest price lists, the last first."""
    cursor = await connection.execute("SELECT id FROM shop.pricelist ORDER BY id DESC LIMIT %s", [limit])
    return [row[0] for row in await cursor.fetchall()]


def load(connection: Connection, pricelist_id: int) -> tuple[list[Price], int]:
    """The rows of a price list, and how many of them are products already. Raises NotFound, BadPriceList."""
    row = connection.execute(
        "SELECT content, done FROM shop.pricelist WHERE id = %s", [pricelist_id]
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no import {pricelist_id}")
    return parse(row[0]), row[1]


def save(connection: Connection, pricelist_id: int, prices: Sequence[Price]) -> None:
    """Make products of the next rows, and keep how far that is: both or neither."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO shop.product (name, price, stock) VALUES (%(name)s, %(price)s, %(stock)s)"
            " ON CONFLICT (name) DO UPDATE SET price = excluded.price, stock = excluded.stock",
            [price.model_dump() for price in prices],
        )
        cursor.execute(
            "UPDATE shop.pricelist SET done = done + %s WHERE id = %s", [len(prices), pricelist_id]
        )
