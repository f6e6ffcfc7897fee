"""Rows and their jobs: in one transaction where there is one for both.

On PostgreSQL a row and its jobs are there together with the commit, or not at all. On Redis the jobs follow
after it: who dies in between leaves a row without them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from psycopg import AsyncConnection

from distq import Job, Task
from examples.shop import orders, tasks
from examples.shop.orders import NewOrder, Order
from examples.shop.settings import settings

DAY = 86_400.0
"""Seconds after its end that the key of an order's job is remembered."""


async def place(connection: AsyncConnection, new: NewOrder, request: str | None) -> tuple[Order, bool]:
    """Place an order; returns it, and whether it is new. Its request repeated enqueues what is missing.

    Raises:
        ShopError: as `orders.insert` and `orders.take_from_stock`; then nothing is there.
    """
    async with connection.transaction():
        order, is_new = await orders.insert(connection, new, request)
        if settings.one_database and order.job is None:
            order = await _enqueue(connection, order, within=connection)
        if is_new:
            await orders.take_from_stock(connection, order)
    if order.job is None:
        order = await _enqueue(connection, order, within=None)
    return order, is_new


async def _enqueue(connection: AsyncConnection, order: Order, *, within: AsyncConnection | None) -> Order:
    """Enqueue the order's jobs, once, in the transaction of `within` where one is given."""
    key = f"order:{order.id}"
    await tasks.invoice.options(key=key, remember=DAY, connection=within).aenqueue(order.id)
    job = await tasks.confirm.options(key=key, remember=DAY, connection=within).aenqueue(order.id)
    async with connection.transaction():
        return await orders.note_job(connection, order, job.id)


async def keep(
    connection: AsyncConnection,
    insert: Callable[[], Awaitable[int]],
    task: Task[[int], int],
    note: Callable[[AsyncConnection, int, str], Awaitable[None]],
) -> tuple[int, Job[int]]:
    """Insert a row, enqueue the task for it, note which job that is; returns the row's number and the job."""
    async with connection.transaction():
        number = await insert()
        if settings.one_database:
            job = await task.options(connection=connection).aenqueue(number)
            await note(connection, number, job.id)
            return number, job
    job = await task.aenqueue(number)
    async with connection.transaction():
        await note(connection, number, job.id)
    return number, job
