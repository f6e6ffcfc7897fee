"""Loads the statements: one file a statement, written for the schema `distq`, re-aimed at another."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from distq.errors import ConfigurationError

_ROOT = files("distq.postgres")


def check_schema(schema: str) -> str:
    """Return the name; raise ConfigurationError where it cannot name a schema and its channels."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,49}", schema):
        raise ConfigurationError(
            f"?schema={schema!r} cannot name a schema: up to 50 of a-z, 0-9, '_', the first no digit"
        )
    return schema


@cache
def query(name: str, schema: str) -> bytes:
    """The text of `queries/<name>.sql` for a schema; without comments, for psycopg caches short ones only."""
    text = (_ROOT / "queries" / f"{name}.sql").read_text("utf-8")
    return _aim(re.sub(r"\s*(--.*)?\n\s*", "\n", text), schema).encode()


def migrations(schema: str) -> list[tuple[str, str]]:
    """Name and text of each migration, in order; the n-th brings the schema to version n."""
    folder = _ROOT / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(name.removesuffix(".sql"), _aim((folder / name).read_text("utf-8"), schema)) for name in names]


def _aim(text: str, schema: str) -> str:
    return re.sub(r"\bdistq\.", f'"{schema}".', text)
