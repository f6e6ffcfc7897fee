"""Placing orders, looking at them, having a confirmation sent again."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from examples.shop import orders, tasks
from examples.shop.answers import made
from examples.shop.orders import NewOrder, Order
from examples.shop.outcomes import Outcome, outcome
from examples.shop.placing import place
from examples.shop.settings import settings
from examples.shop.tasks import app, database

router = APIRouter(prefix="/orders")

IdempotencyKey = Annotated[str | None, Header(max_length=255)]


class OrderAndJob(BaseModel):
    """An order, and what has become of the job that confirms it."""

    order: Order
    job: Outcome | None


@router.post("", response_model=Order, status_code=201)
async def place_order(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Place an order, in JSON or as a form; the same `Idempotency-Key` places it once.

    201 with the order, or 200 where it had been placed already; a browser is led back to the page.
    """
    body = await _body(request)
    async with database.coroutines.connection() as connection:
        key = idempotency_key or body.get("idempotency_key")
        order, is_new = await place(connection, _new_order(body), key)
    return made(request, f"/orders/{order.id}", order.model_dump(mode="json"), 201 if is_new else 200)


@router.get("/{order_id}")
async def show_order(order_id: int, wait: Annotated[float, Query(ge=0, le=30)] = 0) -> OrderAndJob:
    """An order and its job, at once, or when that has ended: in `wait` seconds at the latest."""
    job = None
    async with database.coroutines.connection() as connection:
        order = await orders.get(connection, order_id)
    if order.job:
        job = await outcome(app.job(order.job), wait)
        async with database.coroutines.connection() as connection:
            order = await orders.get(connection, order_id)
    return OrderAndJob(order=order, job=job)


@router.post("/{order_id}/confirmation", status_code=202)
def send_again(order_id: int) -> dict[str, str]:
    """Send the confirmation again: the same as above in a handler of a thread, on a sync connection."""
    with database.threads.connection() as connection, connection.transaction():
        orders.reopen(connection, order_id)
        if settings.one_database:
            return {"job": tasks.confirm.options(connection=connection).enqueue(order_id).id}
    return {"job": tasks.confirm.enqueue(order_id).id}


async def _body(request: Request) -> dict[str, Any]:
    """The fields of a form or of a JSON object. Raises RequestValidationError."""
    if "form" in request.headers.get("content-type", ""):
        return dict(await request.form())
    try:
        body = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestValidationError([_problem("it is not JSON", str(error))]) from None
    if not isinstance(body, dict):
        raise RequestValidationError([_problem("use an object", body)])
    return body


def _problem(message: str, given: Any) -> dict[str, Any]:
    return {"loc": ("body",), "msg": message, "type": "value_error", "input": given}


def _new_order(body: dict[str, Any]) -> NewOrder:
    try:
        return NewOrder.model_validate(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False, include_context=False)) from None
