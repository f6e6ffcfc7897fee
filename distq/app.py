"""DistQ: the tasks of an application, and the storage that they are enqueued to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, overload

from distq.connect import connect
from distq.errors import ConfigurationError, UnknownTask
from distq.handle import Job
from distq.ids import split_id
from distq.job import NewJob
from distq.options import NAMES, Options
from distq.results import Results
from distq.retry import Backoff
from distq.task import AsyncTask, BaseTask, P, R, Task, name_of

LONGEST_TTL = 10 * 366 * 86_400.0
"""Seconds that a result may be kept at most."""


class _Declare(Protocol):
    """What `app.task(...)` returns: a decorator."""

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R]: ...


class DistQ:
    """A distributed task queue over one storage.

    `url` names it: `postgresql://…?schema=`, `redis://…?prefix=` or `memory://`. Nothing is contacted
    before the first job. `result_ttl` is how long results are kept, in seconds.
    """

    def __init__(self, url: str, *, result_ttl: float = 3600.0) -> None:
        """Raises ConfigurationError for a URL that no storage takes."""
        if not 0 < result_ttl <= LONGEST_TTL:
            raise ConfigurationError(f"result_ttl={result_ttl!r}: use seconds, above 0, up to ten years")
        self.storage = connect(url)
        self.results = Results(self.storage)
        self.result_ttl = result_ttl
        self.tasks: dict[str, BaseTask[..., Any]] = {}

    @overload
    def task(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self, /, *, name: str | None = None, queue: str = ..., retries: int = ..., backoff: Backoff = ...
    ) -> _Declare: ...
    def task(self, function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
        """Declare a task: `@app.task` or `@app.task(queue="mail", retries=5, backoff="linear")`.

        `name` is `module.function` unless given. `retries` is how many more tries follow a first
        failure; `backoff` how long each waits, see `distq.retry`.

        Raises:
            ConfigurationError: an option cannot work, or the name is taken.
        """
        if function is None:
            return lambda function: self._declare(function, name, options)
        return self._declare(function, name, options)

    def _declare(self, function: Callable[..., Any], name: str | None, options: Any) -> BaseTask[..., Any]:
        name = name or name_of(function)
        if "\n" in name:
            raise ConfigurationError(f"task name {name!r} must be one line")
        if name in self.tasks:
            raise ConfigurationError(f"task {name!r} is declared twice; give one of them a name=")
        if unknown := sorted(set(options) - NAMES):
            raise ConfigurationError(f"task {name!r}: there is no option {unknown[0]!r}")
        kind = AsyncTask if inspect.iscoroutinefunction(function) else Task
        self.tasks[name] = task = kind(self, name, function, Options(**options))
        return task

    @property
    def queues(self) -> list[str]:
        """The queues of the app's tasks, sorted."""
        return sorted({task.declared.queue for task in self.tasks.values()})

    def find_task(self, name: str) -> BaseTask[..., Any]:
        """The task of a name. Raises UnknownTask."""
        try:
            return self.tasks[name]
        except KeyError:
            raise UnknownTask(name) from None

    def job(self, job_id: str) -> Job[Any]:
        """The handle of a job, from its id. Raises JobNotFound for what is not a job id."""
        split_id(job_id)
        return Job(self, job_id)

    def enqueue(self, jobs: Sequence[NewJob], task: BaseTask[..., R]) -> list[Job[R]]:
        """Enqueue jobs of a task; `task.enqueue` is the way to call this."""
        enqueued = self.storage.run(self.storage.enqueue(jobs), task.connection)
        return [Job(self, entry.id) for entry in enqueued]

    async def aenqueue(self, jobs: Sequence[NewJob], task: BaseTask[..., R]) -> list[Job[R]]:
        """`enqueue` for coroutines."""
        enqueued = await self.storage.arun(self.storage.enqueue(jobs), task.connection)
        return [Job(self, entry.id) for entry in enqueued]

    def close(self) -> None:
        """Close the connections of this process; the next use opens new ones."""
        self.results.close()
        self.storage.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.storage.aclose()
