"""A schema of its own in the PostgreSQL that tests share, and a connection to it.

Fixtures are imported as themselves, `import storage as storage`: tests name them as parameters.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from distq.postgres.storage import PostgresStorage


@pytest.fixture
def name() -> str:
    return f"p{uuid.uuid4().hex[:12]}"


@pytest.fixture
def empty(postgres_url: str, name: str) -> Iterator[PostgresStorage]:
    """A storage without its schema."""
    storage = PostgresStorage(f"{postgres_url}?schema={name}")
    yield storage
    storage.close()


@pytest.fixture
def storage(empty: PostgresStorage) -> PostgresStorage:
    empty.migrate()
    return empty


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the caller's."""
    with psycopg.connect(postgres_url) as connection:
        yield connection


def execute(connection: psycopg.Connection[Any], name: str, text: str, **parameters: Any) -> list[Any]:
    """Run a statement that is written for the schema `distq`."""
    cursor = connection.execute(text.replace("distq.", f"{name}.").encode(), parameters)
    return cursor.fetchall() if cursor.description else []


def long_ago(connection: psycopg.Connection[Any], name: str) -> None:
    """All worker processes were last seen two days ago."""
    execute(connection, name, "UPDATE distq.worker SET seen_at = now() - interval '2 days'")
