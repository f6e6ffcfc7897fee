"""Where the storage is: its URL, and psycopg's errors told as distq's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from distq import urls
from distq.errors import ConfigurationError, JobExists, SchemaError, StorageError, StorageUnavailable
from distq.postgres.queries import check_schema

DEFAULT_SCHEMA = "distq"

KEY_TAKEN = "DQ001"
"""The SQLSTATE of `distq.refuse`."""

#: A server that vanishes without a word is noticed within some 25 s.
_DEFAULTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "distq",
}

_MISFITS = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.InvalidSchemaName,
)


@dataclass(frozen=True)
class Target:
    """Where to connect, which schema, and how to name it in messages without its secrets.

    Without `prepare` nothing is kept in a session: for a proxy that gives each transaction another one.
    """

    url: str = field(repr=False)
    schema: str
    prepare: bool = True

    @property
    def where(self) -> str:
        info = conninfo_to_dict(self.url)
        host, port = info.get("host", "local socket"), info.get("port", 5432)
        return f"postgresql://{host}:{port}/{info.get('dbname', '')}"

    @property
    def arguments(self) -> dict[str, Any]:
        given = conninfo_to_dict(self.url)
        defaults = {key: value for key, value in _DEFAULTS.items() if key not in given}
        return {"conninfo": self.url, "autocommit": True, **defaults}

    @property
    def ended_channel(self) -> str:
        """Where ends of watched jobs are told; everything else is told in the channel named as the schema."""
        return f"{self.schema}_ended"

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise psycopg's errors as distq's."""
        try:
            yield
        except errors.ProgramLimitExceeded as error:
            raise self._refused(error) from error
        # Read-only: a standby, or a primary that is about to become one.
        except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
            raise StorageUnavailable(self.where, error) from error
        except _MISFITS as error:
            raise SchemaError(
                f"schema {self.schema} does not exist, or is not as this distq needs it"
                f" ({error.diag.message_primary or _line(error)}): run `distq migrate --url …`"
            ) from error
        except psycopg.Error as error:
            if error.sqlstate == KEY_TAKEN:
                holder, _, key = (error.diag.message_detail or "").partition(" ")
                raise JobExists(key, holder) from None
            raise self._refused(error) from error

    def _refused(self, error: psycopg.Error) -> StorageError:
        return StorageError(f"storage {self.where} refused: {_line(error)}")


def parse(url: str) -> Target:
    """The target of a URL: libpq's, plus `schema` and `prepare`. Raises ConfigurationError."""
    parts, options = urls.split("PostgreSQL", url)
    name = check_schema(options.pop("schema", DEFAULT_SCHEMA))
    prepare = options.pop("prepare", "on")
    if prepare not in ("on", "off"):
        raise ConfigurationError(f"?prepare={prepare!r}: use on, or off where a proxy pools transactions")
    plain = urls.join(parts, options)
    try:
        ports = str(conninfo_to_dict(plain).get("port", ""))
    except psycopg.ProgrammingError as error:
        known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
        if unknown := sorted(options.keys() - known):
            raise urls.no_option("PostgreSQL", url, unknown[0]) from None
        raise urls.unusable("PostgreSQL", url, error) from None
    if not ports.replace(",", "0").isdecimal() and ports:
        raise urls.unusable("PostgreSQL", url, f"{ports!r} is no port")
    return Target(plain, name, prepare == "on")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
