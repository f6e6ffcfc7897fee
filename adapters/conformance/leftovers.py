"""What a contender left behind after its tear-down, as far as that can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.base import Cell, Service
from adapters.conformance.probe import Notes

_IN_POSTGRES = """
SELECT nspname FROM pg_namespace WHERE strpos(nspname, %(namespace)s) > 0
UNION SELECT relname FROM pg_class WHERE strpos(relname, %(namespace)s) > 0
"""


def leftovers(cell: Cell, files: set[Path]) -> Iterator[str]:
    """What there is that carries the cell's namespace, and files that were not in its directory before.

    AMQP lists nothing: of RabbitMQ only the queue that is called as the namespace is asked for.
    """
    yield from sorted(path.name for path in files_of(cell) - files)
    look = {Service.POSTGRES: _in_postgres, Service.REDIS: _in_redis, Service.RABBITMQ: _in_rabbitmq}
    for service in cell.urls:
        yield from look[service](cell)


def files_of(cell: Cell) -> set[Path]:
    """What lies in the cell's directory, but for the kit's own."""
    return set(cell.directory.iterdir()) - {Notes(cell.directory).directory}


# Each imports its client late: who needs no server does not wait for them.


def _in_postgres(cell: Cell) -> Iterator[str]:
    from adapters.stores import PostgresStore

    with PostgresStore(cell).connect() as connection:
        yield from (name for (name,) in connection.execute(_IN_POSTGRES, {"namespace": cell.namespace}))


def _in_redis(cell: Cell) -> Iterator[str]:
    from adapters.stores import RedisStore

    with RedisStore(cell).connect() as client:
        keys = client.scan_iter(match=f"*{cell.namespace}*", count=1000)
        yield from (key.decode(errors="replace") for key in keys)


def _in_rabbitmq(cell: Cell) -> Iterator[str]:
    try:
        import pika
        from pika.exceptions import ChannelClosedByBroker
    except ModuleNotFoundError:  # whose contender needs RabbitMQ may use another library
        return
    with pika.BlockingConnection(pika.URLParameters(cell.urls[Service.RABBITMQ])) as connection:
        try:
            connection.channel().queue_declare(cell.namespace, passive=True)
        except ChannelClosedByBroker:
            return
    yield f"queue {cell.namespace}"
