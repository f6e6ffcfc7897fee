"""A task: a name for a function, its options, and the ways to enqueue a call of it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, cast

from distq import retry
from distq.checks import shown
from distq.errors import ConfigurationError, InvalidArguments
from distq.hooks import Call
from distq.ids import new_ids
from distq.job import NewJob
from distq.messages import NO_HEADERS, decode_headers, encode_headers, encode_payload
from distq.options import Options
from distq.signature import Signature
from distq.telemetry import enqueuing
from distq.telemetry.enqueuing import Enqueuing

if TYPE_CHECKING:
    from typing import Self

    from distq.app import DistQ
    from distq.handle import Job

P = ParamSpec("P")
R = TypeVar("R")

Arguments = Sequence[Any] | Mapping[str, Any]
"""The arguments of one call: a sequence by position, or a mapping by keyword."""

_Given = tuple[tuple[Any, ...], Mapping[str, Any]]


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
        self.limits = options.limits({})
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
            run_at: the moment when it is ready, by the storage's clock; a datetime with a time zone. It takes
                the place of a delay, and a delay of it; both at once are refused.
            timeout: seconds after which the job is interrupted: an async one is cancelled, in a sync one
                JobTimeout is raised at the next step of Python.
            hard_timeout: seconds after which its worker process is ended; 5 more than `timeout` by default.
            key: one job of a queue has it at a time; an empty text for no key.
            unique: how long the key is taken: until the job has ended ("active"), until it is first leased
                ("waiting"), or so many seconds from now. This and the next two are refused at the enqueue
                where there is no key.
            remember: seconds that the key stays taken after the end, with unique="active".
            on_conflict: what to do where the key is taken: "return" the job that has it, "replace" it
                where it has not been leased yet, or raise the "error" JobExists.
            connection: a psycopg connection of yours, in whose transaction the job is enqueued: sync for
                `enqueue`, async for `aenqueue`. PostgreSQL only.

        Raises:
            ConfigurationError: an option cannot work.
        """
        values = {name: value for name, value in locals().items() if name not in ("self", "connection")}
        given = {name: value for name, value in values.items() if value is not None}
        if ("delay" in given) != ("run_at" in given):
            given = {"delay": 0.0, "run_at": None, **given}
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone.chosen = replace(self.chosen, **given)
        clone.headers = clone.chosen.headers(self.declared)
        clone.connection = self.connection if connection is None else connection
        return clone

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Enqueue one call. When it returns, the storage has the job.

        What a middleware raises after its `yield` reaches the caller too, but then the job is there.

        Raises:
            InvalidArguments: the arguments do not fit the signature; nothing was enqueued.
            JobExists: the key is another's, with on_conflict="error"; nothing was enqueued.
            StorageUnavailable: the storage does not answer.
        """
        with ExitStack() as stack:
            return self.app.enqueue(*self.new_jobs([(args, kwargs)], stack), self)[0]

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue` for coroutines."""
        with ExitStack() as stack:
            return (await self.app.aenqueue(*self.new_jobs([(args, kwargs)], stack), self))[0]

    def enqueue_many(self, calls: Iterable[Arguments]) -> list[Job[R]]:
        """Enqueue many calls in one round trip; the handles come in the same order.

        All or none on PostgreSQL; on Redis all or none of each thousand. Raises as `enqueue`.
        """
        with ExitStack() as stack:
            return self.app.enqueue(*self.new_jobs(_each(calls), stack), self)

    async def aenqueue_many(self, calls: Iterable[Arguments]) -> list[Job[R]]:
        """`enqueue_many` for coroutines."""
        with ExitStack() as stack:
            return await self.app.aenqueue(*self.new_jobs(_each(calls), stack), self)

    def job_of(self, tick: int, around: ExitStack) -> tuple[NewJob, Enqueuing | None]:
        """The job that a schedule enqueues within `around` at a tick, in seconds since 1970; and its span."""
        (job,), span = self.new_jobs([((), {})], around, encode_headers({"tick": tick}))
        return job, span

    def new_jobs(
        self, calls: Iterable[_Given], around: ExitStack, headers: bytes | None = None
    ) -> tuple[list[NewJob], Enqueuing | None]:
        """The jobs of calls, given by position and by name, for who enqueues them within `around`; and their
        span, which is to be told how that went. It and the middleware are left with `around`.
        """
        chosen, headers = self.chosen, headers or self.headers
        if span := enqueuing.begin(self.name, chosen.queue):
            around.enter_context(span)
            usual = chosen.priority == self.declared.priority
            if added := span.headers(None if usual else chosen.priority):
                headers = encode_headers({**decode_headers(headers), **added})
        if self.app.hooks.around_enqueue:
            payloads = [self._call(given, headers, around) for given in calls]
        else:
            encode = self.signature.encode
            payloads = [encode_payload(headers, encode(args, kwargs)) for args, kwargs in calls]
        self._check_size(payloads)
        run_at = chosen.run_at.timestamp() if chosen.run_at else None
        rest = (chosen.delay, run_at, chosen.priority, chosen.claim)
        ids = new_ids(chosen.queue, len(payloads))
        jobs = [
            NewJob(job_id, chosen.queue, self.name, payload, *rest)
            for job_id, payload in zip(ids, payloads, strict=True)
        ]
        if span:
            span.made(jobs)
        return jobs, span

    def _call(self, given: _Given, headers: bytes, around: ExitStack) -> bytes:
        call = Call(self.name, given[0], dict(given[1]), decode_headers(headers))
        for middleware in self.app.hooks.around_enqueue:
            around.enter_context(middleware(call))
        return encode_payload(encode_headers(call.headers), self.signature.encode(call.args, call.kwargs))

    def _check_size(self, payloads: Sequence[bytes]) -> None:
        size, limit = max(map(len, payloads), default=0), self.app.max_payload
        if size > limit:
            raise InvalidArguments(
                self.name,
                f"{size:,} bytes, more than max_payload={limit:,}; store them elsewhere, pass a reference",
            )


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
    """`module.function`; a script's module has the name by which others import it.

    Raises ConfigurationError for what has no name, as a `functools.partial`.
    """
    if not hasattr(function, "__name__"):
        raise ConfigurationError(f"{function!r} has no name of its own: give it a name=")
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        module = spec.name.removesuffix(".__main__") if spec else Path(getattr(main, "__file__", "main")).stem
    return f"{module}.{function.__name__}"


def check_function(function: Any) -> None:
    """Raise ConfigurationError for what cannot be a task's function."""
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(
            f"a task is a function, not {function!r}; options are given by name, as in @app.task(queue=…)"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"{shown(function)} is a generator function; a task returns what it has made"
        )


def _each(calls: Any) -> Iterable[_Given]:
    if not isinstance(calls, Iterable):
        raise ConfigurationError(f"enqueue_many takes a list of calls, [(1, 2), {{'a': 3}}], not {calls!r}")
    return map(_split, cast(Iterable[Any], calls))


def _split(call: Any) -> _Given:
    if type(call) is tuple:  # the usual one, spared the rest
        return cast(tuple[Any, ...], call), {}
    if isinstance(call, Mapping):
        return (), cast(Mapping[str, Any], call)
    if isinstance(call, str | bytes | Set) or not isinstance(call, Iterable):
        raise ConfigurationError(f"enqueue_many takes sequences or mappings of arguments, not {call!r}")
    return tuple(cast(Iterable[Any], call)), {}
