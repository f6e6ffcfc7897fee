"""The contenders by name. A new one is one file and one line here."""

from __future__ import annotations

import difflib
import importlib

from adapters.base import Adapter, AdapterError

REGISTRY: dict[str, str] = {
    "null": "adapters.null:Null",
    "raw-postgres": "adapters.raw_postgres:RawPostgres",
    "raw-redis": "adapters.raw_redis:RawRedis",
    "distq-postgres": "adapters.distq:DistqPostgres",
    "distq-redis": "adapters.distq:DistqRedis",
    "celery-postgres": "adapters.celery:CeleryPostgres",
    "celery-redis": "adapters.celery:CeleryRedis",
    "celery-rabbitmq": "adapters.celery:CeleryRabbitmq",
    "rabbitmq-postgres": "adapters.rabbitmq:RabbitmqPostgres",
    "rabbitmq-redis": "adapters.rabbitmq:RabbitmqRedis",
}
"""Name → `module:Class`, in the order of every table."""

MUTANTS: dict[str, str] = {
    "null-loses": "adapters.mutants:Loses",
    "null-twice": "adapters.mutants:Twice",
    "null-lies": "adapters.mutants:Lies",
    "null-slow": "adapters.mutants:Slow",
    "null-skewed": "adapters.mutants:Skewed",
    "null-stalls": "adapters.mutants:Stalls",
    "null-wrong": "adapters.mutants:Wrong",
    "null-hasty": "adapters.mutants:Hasty",
    "raw-redis-early": "adapters.mutants:Early",
}
"""The same of deliberately broken contenders, which nobody is offered: `scenarios.mutants` runs them."""

_EXTRAS = {
    "amqp": "celery",
    "celery": "celery",
    "kombu": "celery",
    "sqlalchemy": "celery",
    "pika": "rabbitmq",
}
"""The extra of distq that installs a contender's library."""


class UnknownAdapter(AdapterError):
    """No contender has that name."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name, REGISTRY, cutoff=0.5) or list(REGISTRY)
        super().__init__(f"unknown adapter {name!r}; did you mean {' or '.join(near)}?")


class Unavailable(AdapterError):
    """A contender's library is not installed."""

    def __init__(self, name: str, library: str) -> None:
        extra = _EXTRAS.get(library)
        package = f"'distq[{extra}]'" if extra else library
        super().__init__(f"{name} needs the library {library!r}: pip install {package}")
        self.library = library


def load(name: str) -> type[Adapter]:
    """The contender's class, imported on first use.

    Raises:
        UnknownAdapter: no such name.
        Unavailable: its library is not installed.
    """
    place = REGISTRY.get(name) or MUTANTS.get(name)
    if place is None:
        raise UnknownAdapter(name)
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise Unavailable(name, (error.name or module).partition(".")[0]) from error
