"""A task: a name for a function, its options, and the ways to enqueue a call of it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

from distq import retry
from distq.errors import ConfigurationError
from distq.job import NewJob, check_queue, new_ids
from distq.signature import Signature

if TYPE_CHECKING:
    from typing import Self

    from distq.app import DistQ, Job

P = ParamSpec("P")
R = TypeVar("R")

Call = Sequence[Any] | Mapping[str, Any]
"""The arguments of one call: a sequence by position, or a mapping by keyword."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a task was declared with, and what one enqueue may change. Seconds throughout."""

    queue: str = "default"
    retries: int = 3
    backoff: retry.Backoff = "exponential"
    delay: float = 0.0

    def __post_init__(self) -> None:
        check_queue(self.queue)
        if not isinstance(self.retries, int) or self.retries < 0:
            raise ConfigurationError(f"retries={self.retries!r}: use a whole number, 0 or more")
        if not isinstance(self.delay, int | float) or not 0 <= self.delay <= retry.FARTHEST:
            raise ConfigurationError(f"delay={self.delay!r}: use seconds, from 0 to a year")
        retry.parse(self.backoff)


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
        self.declared = options
        self.backoff = retry.parse(options.backoff)

    def options(self, *, delay: float | None = None, queue: str | None = None) -> Self:
        """The same task with other options for the calls enqueued through it.

        `delay` is in seconds, counted by the storage from the moment it receives the job.
        Raises ConfigurationError.
        """
        given = {"delay": delay, "queue": queue}
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone._configure(replace(self.declared, **{k: v for k, v in given.items() if v is not None}))
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
        queue, delay, encode = self.declared.queue, self.declared.delay, self.signature.encode
        payloads = [encode(args, kwargs) for args, kwargs in calls]
        ids = new_ids(queue, len(payloads))
        return [NewJob(i, queue, self.name, payload, delay) for i, payload in zip(ids, payloads, strict=True)]


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
