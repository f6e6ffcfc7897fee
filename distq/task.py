"""A task: a name for a function, its options, and the ways to enqueue a call of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, cast

from distq import retry
from distq.errors import ConfigurationError
from distq.ids import new_ids
from distq.job import NewJob
from distq.messages import NO_HEADERS, encode_payload
from distq.options import Options
from distq.signature import Signature

if TYPE_CHECKING:
    from typing import Self

    from distq.app import DistQ
    from distq.handle import Job

P = ParamSpec("P")
R = TypeVar("R")

Call = Sequence[Any] | Mapping[str, Any]
"""The arguments of one call: a sequence by position, or a mapping by keyword."""


class BaseTask(Generic[P, R]):
    """What sync and async tasks share. `R` is the type of the result."""

    def __init__(self, app: DistQ, name: str, function: Callable[P, Any], options: Options) -> None:
        self.app = app
        self.name = name
        self.function = function
        self.signature = Signature(name, function)
        self._configure(options)
        functools.update_wrapper(cast(Callable[..., Any], self), function)

    def _configure(self, options: Options) -> None:
        """What the task was declared with, and what its calls are enqueued with unless they change it."""
        self.declared = self.chosen = options
        self.headers = NO_HEADERS
        self.connection: Any = None
        self.backoff = retry.parse(options.backoff, jitter=options.jitter, max_delay=options.max_delay)

    def options(
        self,
        *,
        queue: str | None = None,
        delay: float | None = None,
        run_at: datetime | None = None,
        priority: int | None = None,
        retries: int | None = None,
        timeout: float | None = None,
        hard_timeout: float | None = None,
        key: str | None = None,
        unique: Literal["active", "waiting"] | float | None = None,
        remember: float | None = None,
        on_conflict: Literal["return", "replace", "error"] | None = None,
        connection: Any = None,
    ) -> Self:
        """The same task with other options for the calls enqueued through it.

        Args:
            delay: seconds until the job is ready, counted by the storage from when it receives the job.
            run_at: the moment when it is ready, by the storage's clock; a datetime with a time zone.
            timeout: seconds after which the job is interrupted: an async one is cancelled, in a sync one
                JobTimeout is raised at the next step of Python.
            hard_timeout: seconds after which its worker process is ended; 5 more than `timeout` by default.
            key: one job of a queue has it at a time; None for no key.
            unique: how long the key is taken: until the job has ended ("active"), until it is first leased
                ("waiting"), or so many seconds from now.
            remember: seconds that the key stays taken after the end, with unique="active".
            on_conflict: what to do where the key is taken: "return" the job that has it, "replace" it
                where it has not been leased yet, or raise the "error" JobExists.
            connection: a psycopg connection of yours, in whose transaction the job is enqueued: sync for
                `enqueue`, async for `aenqueue`. PostgreSQL only.

        Raises:
            ConfigurationError: an option cannot work.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "connection")}
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone.chosen = replace(self.chosen, **{k: v for k, v in given.items() if v is not None})
        clone.headers = clone.chosen.headers(self.declared)
        clone.connection = self.connection if connection is None else connection
        return clone

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Enqueue one call. When it returns, the storage has the job.

        Raises:
            InvalidArguments: the arguments do not fit the signature; nothing was enqueued.
            StorageUnavailable: the storage does not answer.
        """
        return self.app.enqueue(self._jobs([(args, kwargs)]), self)[0]

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue` for coroutines."""
        return (await self.app.aenqueue(self._jobs([(args, kwargs)]), self))[0]

    def enqueue_many(self, calls: Iterable[Call]) -> list[Job[R]]:
        """Enqueue many calls in one round trip; the handles come in the same order.

        All or none on PostgreSQL; on Redis all or none of each thousand. Raises as `enqueue`.
        """
        return self.app.enqueue(self._jobs(map(_split, calls)), self)

    async def aenqueue_many(self, calls: Iterable[Call]) -> list[Job[R]]:
        """`enqueue_many` for coroutines."""
        return await self.app.aenqueue(self._jobs(map(_split, calls)), self)

    def _jobs(self, calls: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> list[NewJob]:
        chosen, headers, encode = self.chosen, self.headers, self.signature.encode
        payloads = [encode_payload(headers, encode(args, kwargs)) for args, kwargs in calls]
        run_at = chosen.run_at.timestamp() if chosen.run_at else None
        rest = (chosen.delay, run_at, chosen.priority, chosen.claim)
        ids = new_ids(chosen.queue, len(payloads))
        return [
            NewJob(job_id, chosen.queue, self.name, payload, *rest)
            for job_id, payload in zip(ids, payloads, strict=True)
        ]


class Task(BaseTask[P, R]):
    """A task whose function is an ordinary one."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now, without a queue."""
        return self.function(*args, **kwargs)


class AsyncTask(BaseTask[P, R]):
    """A task whose function is a coroutine function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function here and now, without a queue."""
        return self.function(*args, **kwargs)


def name_of(function: Callable[..., Any]) -> str:
    """`module.function`; a script's module has the name by which others import it."""
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        module = spec.name.removesuffix(".__main__") if spec else Path(getattr(main, "__file__", "main")).stem
    return f"{module}.{function.__name__}"


def _split(call: Call) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if isinstance(call, Mapping):
        return (), call
    if isinstance(call, str | bytes):
        raise ConfigurationError(f"enqueue_many takes sequences or mappings of arguments, not {call!r}")
    return tuple(call), {}
