"""Orders: the values, and what is done with them in the database."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, LiteralString

from psycopg import AsyncConnection, Connection
from psycopg.errors import CheckViolation
from psycopg.rows import class_row
from pydantic import BaseModel, Field

from examples.shop.errors import KeyReused, NotFound, OutOfStock, UnknownProduct

COLUMNS: LiteralString = "id, email, product, quantity, total, placed_at, job, confirmed_at"


class NewOrder(BaseModel):
    """What a customer says."""

    email: Annotated[str, Field(max_length=254, pattern=r"^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$")]
    product: Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f]+$")]
    quantity: Annotated[int, Field(ge=1, le=2_000_000_000)] = 1


class Order(NewOrder):
    """An order that was placed. `job` confirms it by mail, and has done so at `confirmed_at`."""

    id: int
    total: Decimal
    placed_at: datetime
    job: str | None
    confirmed_at: datetime | None


async def insert(
    connection: AsyncConnection, new: NewOrder, request: str | None = None
) -> tuple[Order, bool]:
    """The order, and whether it is new: `request`, an idempotency key, may have placed it before.

    Of two at once with one key the second waits here until the first has committed or rolled back.

    Raises:
        UnknownProduct: the shop does not sell it.
        KeyReused: the key has placed another order.
    """
    async with connection.cursor(row_factory=class_row(Order)) as cursor:
        await cursor.execute(
            "INSERT INTO shop.orders (email, product, quantity, total, request)"
            " SELECT %(email)s, name, %(quantity)s, price * %(quantity)s, %(request)s"
            " FROM shop.product WHERE name = %(product)s"
            f" ON CONFLICT (request) DO NOTHING RETURNING {COLUMNS}",
            {**new.model_dump(), "request": request},
        )
        if order := await cursor.fetchone():
            return order, True
        await cursor.execute(f"SELECT {COLUMNS} FROM shop.orders WHERE request = %s", [request])
        order = await cursor.fetchone()
    if order is None:
        raise UnknownProduct(f"there is no product {new.product!r}")
    if NewOrder(**order.model_dump()) != new:
        raise KeyReused(f"this Idempotency-Key has placed order {order.id}, which is another one")
    return order, False


async def take_from_stock(connection: AsyncConnection, order: Order) -> None:
    """Take what was ordered. Raises OutOfStock, which rolls back the whole order, jobs and all."""
    try:
        await connection.execute(
            "UPDATE shop.product SET stock = stock - %s WHERE name = %s", [order.quantity, order.product]
        )
    except CheckViolation:
        raise OutOfStock(f"there are not {order.quantity} of {order.product!r}") from None


async def note_job(connection: AsyncConnection, order: Order, job: str) -> Order:
    """Keep which job confirms the order."""
    await connection.execute("UPDATE shop.orders SET job = %s WHERE id = %s", [job, order.id])
    return order.model_copy(update={"job": job})


async def get(connection: AsyncConnection, order_id: int) -> Order:
    """An order. Raises NotFound."""
    async with connection.cursor(row_factory=class_row(Order)) as cursor:
        await cursor.execute(f"SELECT {COLUMNS} FROM shop.orders WHERE id = %s", [order_id])
        if order := await cursor.fetchone():
            return order
    raise NotFound(f"there is no order {order_id}")


async def latest(connection: AsyncConnection, limit: int) -> list[Order]:
    """The latest orders, the last first."""
    async with connection.cursor(row_factory=class_row(Order)) as cursor:
        await cursor.execute(f"SELECT {COLUMNS} FROM shop.orders ORDER BY id DESC LIMIT %s", [limit])
        return await cursor.fetchall()


async def confirm(connection: AsyncConnection, order_id: int) -> None:
    """Keep when the order was first confirmed."""
    await connection.execute(
        "UPDATE shop.orders SET confirmed_at = now() WHERE id = %s AND confirmed_at IS NULL", [order_id]
    )


def reopen(connection: Connection, order_id: int) -> None:
    """Let an order be confirmed once more. Raises NotFound."""
    cursor = connection.execute("UPDATE shop.orders SET confirmed_at = NULL WHERE id = %s", [order_id])
    if not cursor.rowcount:
        raise NotFound(f"there is no order {order_id}")


def invoice(connection: Connection, order_id: int) -> int:
    """The number of the order's invoice, the next one where it has none yet."""
    connection.execute("LOCK TABLE shop.invoice IN EXCLUSIVE MODE")
    connection.execute(
        "INSERT INTO shop.invoice (number, order_id) SELECT coalesce(max(number), 0) + 1, %s"
        " FROM shop.invoice ON CONFLICT (order_id) DO NOTHING",
        [order_id],
    )
    row = connection.execute("SELECT number FROM shop.invoice WHERE order_id = %s", [order_id]).fetchone()
    assert row
    return row[0]
