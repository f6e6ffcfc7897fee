"""The shop's tasks: `distq worker examples.shop.tasks:app`.

A job may run twice, so each leaves behind the same then: a mail with the same Message-ID, the invoice that is
there, the rows that are not yet imported.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from distq import DistQ, current_job
from examples.shop import mails, orders, pictures, pricelists, reports, tracing
from examples.shop.database import Database
from examples.shop.errors import BadPriceList, MailRefused, NotFound
from examples.shop.settings import settings

ROWS = 20
"""Rows of a price list that are imported in one transaction."""

PAUSE = 0.05
"""Seconds between two of them, in which the database has time for customers."""

tracing.configure()
app = DistQ(settings.jobs)
database = Database(settings.database)
app.on_start(database.open)
app.on_stop(database.close)


@dataclass
class Confirmation:
    """A mail that was sent, and by which attempt."""

    to: str
    attempt: int


@app.task(
    name="confirm", queue="mail", retries=8, backoff=[0.5, 2, 10, 60], give_up_on=(MailRefused, NotFound)
)
async def confirm(order_id: int) -> Confirmation:
    """Confirm an order by mail."""
    async with database.coroutines.connection() as connection:
        order = await orders.get(connection, order_id)
    await mails.send(mails.confirmation(order), settings.smtp_port)
    async with database.coroutines.connection() as connection:
        await orders.confirm(connection, order_id)
    return Confirmation(order.email, current_job().attempt)


@app.task(name="invoice", queue="books")
def invoice(order_id: int) -> int:
    """Give an order's invoice its number."""
    with database.threads.connection() as connection:
        return orders.invoice(connection, order_id)


@app.task(name="thumbnail", queue="pictures", timeout=60, give_up_on=pictures.UNREADABLE)
def thumbnail(picture_id: int) -> int:
    """Make a picture's thumbnail; returns its size in bytes."""
    with database.threads.connection() as connection:
        original = pictures.original(connection, picture_id)
    small = pictures.shrink(original)
    with database.threads.connection() as connection:
        pictures.keep_thumbnail(connection, picture_id, small)
    return len(small)


@app.task(name="import_products", queue="imports", give_up_on=(BadPriceList, NotFound))
def import_products(pricelist_id: int) -> int:
    """Make products of a price list; returns how many rows that were until somebody stopped it."""
    job = current_job()
    with database.threads.connection() as connection:
        prices, done = pricelists.load(connection, pricelist_id)
    while done < len(prices) and not job.should_stop():
        batch = prices[done : done + ROWS]
        with database.threads.connection() as connection:
            pricelists.save(connection, pricelist_id, batch)
        done += len(batch)
        job.progress(done / len(prices), f"{done} of {len(prices)} products")
        time.sleep(PAUSE)
    return done


@app.cron("0 0 * * *", name="nightly")
@app.cron(settings.report, name="of the day so far", catch_up=False)
@app.task(name="report", queue="reports")
def report() -> int:
    """Report the day that ends, or is under way, at the schedule's tick; returns how many orders it had."""
    tick = current_job().tick
    assert tick
    with database.threads.connection() as connection:
        return reports.make(connection, tick)
