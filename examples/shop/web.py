"""The shop's web application: `uvicorn examples.shop.web:web`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from distq import DistqError, StorageUnavailable
from examples.shop import tracing
from examples.shop.answers import refused
from examples.shop.errors import ShopError
from examples.shop.routes import imports, orders, page, pictures
from examples.shop.tasks import app, database


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connections are opened before the first request, and closed after the last."""
    await database.open()
    yield
    await app.aclose()
    app.close()
    await database.close()


web = FastAPI(title="The shop", lifespan=lifespan, docs_url=None, redoc_url=None)
for part in (page, orders, pictures, imports):
    web.include_router(part.router)
web.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")))
tracing.instrument(web)


@web.exception_handler(ShopError)
async def told(request: Request, error: ShopError) -> Response:
    """What cannot be done is told in a line."""
    return refused(request, str(error), error.status)


@web.exception_handler(DistqError)
async def failed(request: Request, error: DistqError) -> Response:
    """So is what went wrong with the jobs: a request can be repeated with its Idempotency-Key."""
    return refused(request, str(error), 503 if isinstance(error, StorageUnavailable) else 500)


@web.exception_handler(psycopg.OperationalError)
async def away(request: Request, error: psycopg.OperationalError) -> Response:
    """So is a database that does not answer; its own words may name hosts and users."""
    return refused(request, "the database does not answer; try again", 503)
