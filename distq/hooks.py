"""What a user's code may add to enqueuing, to running, and to the life of a worker process.

Middleware is a generator function with one `yield`, as for `contextlib.contextmanager`: what is before it
happens before, what is after it after, and an error is raised at it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from distq import telemetry
from distq.checks import shown
from distq.context import CurrentJob
from distq.errors import ConfigurationError

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


@dataclass(slots=True)
class Call:
    """A call on its way to the queue. What a middleware changes is what is enqueued."""

    task: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    headers: dict[str, Any]


AroundEnqueue = Callable[[Call], Iterator[None]]
AroundRun = Callable[[CurrentJob], Iterator[None]]
Middleware = Callable[[Any], AbstractContextManager[None]]
ErrorHook = Callable[[CurrentJob, BaseException], object]


@dataclass(slots=True)
class Hooks:
    """An app's, in the order in which they were added; of middleware the first is the outermost."""

    start: list[Callable[[], Any]] = field(default_factory=list[Callable[[], Any]])
    stop: list[Callable[[], Any]] = field(default_factory=list[Callable[[], Any]])
    error: list[ErrorHook] = field(default_factory=list[ErrorHook])
    around_enqueue: list[Middleware] = field(default_factory=list[Middleware])
    around_run: list[Middleware] = field(default_factory=list[Middleware])

    def running(self, job: CurrentJob) -> AbstractContextManager[Any]:
        """The middleware around a run."""
        with ExitStack() as stack:
            for middleware in self.around_run:
                stack.enter_context(middleware(job))
            return stack.pop_all()

    def failed(self, job: CurrentJob, error: BaseException) -> None:
        """Tell the error hooks. What they raise is only recorded: the job has an error already."""
        for hook in self.error:
            try:
                hook(job, error)
            except Exception as mistake:  # noqa: BLE001
                telemetry.emit(
                    "error", "job {id}: the error hook failed: {error!r}", id=job.id, error=mistake
                )


_LIFE = (("function", "coroutine function"), 0, "a function, or a coroutine function, without arguments")
_AROUND = (("generator function",), 1, "a generator function of one argument: def, with one yield")
_HOOKS = {
    "on_start": _LIFE,
    "on_stop": _LIFE,
    "on_error": (("function",), 2, "a function of two arguments, the job and the error"),
    "around_enqueue": _AROUND,
    "around_run": _AROUND,
}
"""Of each hook what it may be, how many arguments it gets, and both in words."""


def checked(hook: str, function: _Hook) -> _Hook:
    """The function, if it can be this hook. Raises ConfigurationError."""
    kinds, arguments, wanted = _HOOKS[hook]
    if _kind(function) not in kinds or not _takes(function, arguments):
        raise ConfigurationError(f"{hook}: {shown(function)} cannot be it; use {wanted}")
    return function


def _kind(function: Any) -> str:
    if inspect.isgeneratorfunction(function):
        return "generator function"
    if inspect.isasyncgenfunction(function):
        return "async generator function"
    if inspect.iscoroutinefunction(function):
        return "coroutine function"
    return "function" if callable(function) else "none"


def _takes(function: Callable[..., Any], arguments: int) -> bool:
    """Whether it can be called with so many arguments. What is written in C may not tell."""
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def middleware(function: Callable[[Any], Iterator[None]]) -> Middleware:
    """A generator function as one of context managers."""
    return contextmanager(cast(Callable[[Any], Generator[None]], function))
