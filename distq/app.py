"""DistQ: the tasks of an application, and the storage that they are enqueued to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack, cast, overload

from distq import cron
from distq.checks import check, is_name, is_text, seconds, whole
from distq.connect import connect
from distq.errors import ConfigurationError, UnknownTask
from distq.handle import Job
from distq.hooks import AroundEnqueue, AroundRun, ErrorHook, Hooks, checked, middleware
from distq.ids import split_id
from distq.job import NewJob
from distq.options import NAMES, Options, TaskOptions
from distq.queue import Queue
from distq.results import Results
from distq.storage import Storage
from distq.task import AsyncTask, BaseTask, P, R, Task, check_function, name_of
from distq.telemetry.enqueuing import Enqueuing

if TYPE_CHECKING:
    from distq.testing import Inline

LONGEST_TTL = 10 * 366 * 86_400.0
"""Seconds that a result, or a job that is dead, may be kept at most."""

_T = TypeVar("_T", bound=BaseTask[..., Any])
_Hook = TypeVar("_Hook", bound=Callable[..., Any])


class _Declare(Protocol):
    """What `app.task(...)` returns: a decorator."""

    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R]: ...


class _Schedule(Protocol):
    """What `app.cron(...)` returns: a decorator of tasks, or of functions that are not yet."""

    @overload
    def __call__(self, function: _T) -> _T: ...
    @overload
    def __call__(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, R]]
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R]) -> Task[P, R]: ...


class DistQ:
    """A distributed task queue over one storage. Nothing is contacted before the first job."""

    def __init__(
        self,
        url: str,
        *,
        result_ttl: float = 3600.0,
        dead_ttl: float = 30 * 86_400.0,
        dead_limit: int = 100_000,
        max_payload: int = 2**20,
    ) -> None:
        """`url` is `postgresql://…?schema=`, `redis://…?prefix=` or `memory://`.

        Args:
            result_ttl: seconds that results are kept.
            dead_ttl: seconds that dead and cancelled jobs are kept.
            dead_limit: how many of them are kept of a queue, the latest ones, about.
            max_payload: bytes that the arguments of a call may have, encoded.

        Raises:
            ConfigurationError: no storage takes such a URL, or an option cannot work.
        """
        for option, ttl in (("result_ttl", result_ttl), ("dead_ttl", dead_ttl)):
            check(option, ttl, "seconds, above 0, up to ten years", seconds(LONGEST_TTL, above=0))
        for option, number in (("dead_limit", dead_limit), ("max_payload", max_payload)):
            check(option, number, "a whole number, 1 or more", whole(1))
        self.move(connect(url))
        self.result_ttl, self.dead_ttl, self.dead_limit = result_ttl, dead_ttl, dead_limit
        self.max_payload = max_payload
        self.tasks: dict[str, BaseTask[..., Any]] = {}
        self.crons: dict[str, cron.Cron] = {}
        self.hooks = Hooks()
        self.inlined: Inline | None = None

    # -- declaring ---------------------------------------------------------------------------------

    @overload
    def task(  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, *, name: str | None = None, **options: Unpack[TaskOptions]) -> _Declare: ...
    def task(self, function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
        """Declare a task: `@app.task` or `@app.task(queue="mail", retries=5, backoff="linear")`.

        `name` is `module.function` unless given. `retries` is how many more tries follow a first
        failure; `backoff` how long each waits, see `distq.retry`; the others are as in `task.options`.

        Raises:
            ConfigurationError: it is no function, or one that yields; or an option or the name cannot work.
        """

        def declare(function: Callable[..., Any]) -> BaseTask[..., Any]:
            return self._declare(function, name, options)

        return declare if function is None else declare(function)

    def _declare(self, function: Callable[..., Any], name: str | None, options: Any) -> BaseTask[..., Any]:
        check_function(function)
        name = name_of(function) if name is None else name
        check("name", name, "a text of one line", is_name)
        if name in self.tasks:
            raise ConfigurationError(f"task {name!r} is declared twice; give one of them a name=")
        # A moment is a call's, not a task's.
        if unknown := sorted(set(options) - NAMES | options.keys() & {"run_at"}):
            raise ConfigurationError(f"task {name!r}: there is no option {unknown[0]!r}")
        kind = cast(type[BaseTask[..., Any]], AsyncTask if inspect.iscoroutinefunction(function) else Task)
        task = kind(self, name, function, Options(**options))
        self.tasks[name] = task
        return task

    def cron(
        self, expression: str, *, tz: str = "UTC", catch_up: bool = True, name: str | None = None
    ) -> _Schedule:
        """Enqueue a task at the times of a cron expression: `@app.cron("*/5 * * * *", tz="Europe/Berlin")`.

        Any worker process may fire a tick, one of them does. It stands above `@app.task(…)`, or declares the
        task itself. Of ticks that were missed, as nobody ran or the schedule was paused, the latest is made
        up for, or none where `catch_up` is False. `name` is the task's unless given.

        Raises:
            ConfigurationError: it is no expression, no time zone, or the task needs arguments.
        """
        # Without parentheses it is the function, of which nobody would ever hear again.
        check("cron", expression, 'an expression: @app.cron("*/5 * * * *")', is_text)

        def add(function: Any) -> Any:
            known = isinstance(function, BaseTask)
            task = cast(BaseTask[..., Any], function if known else self.task(function))
            added = cron.parse(task, expression, name=name, tz=tz, catch_up=catch_up)
            if added.name in self.crons:
                raise ConfigurationError(f"schedule {added.name!r} is declared twice; give one a name=")
            self.crons[added.name] = added
            return task

        return add

    def on_start(self, function: _Hook) -> _Hook:
        """Call a function, or a coroutine function, when a worker process has started: `@app.on_start`.

        Each of these raises ConfigurationError for a function that cannot be such a hook.
        """
        self.hooks.start.append(checked("on_start", function))
        return function

    def on_stop(self, function: _Hook) -> _Hook:
        """Call it when a worker process ends in good order."""
        self.hooks.stop.append(checked("on_stop", function))
        return function

    def on_error(self, function: ErrorHook) -> ErrorHook:
        """Call a function with the job and the error of each attempt that failed, in the worker process."""
        self.hooks.error.append(checked("on_error", function))
        return function

    def around_enqueue(self, function: AroundEnqueue) -> AroundEnqueue:
        """Add middleware around each enqueue: a generator function of a `Call`, which it may change.

        What it raises before its `yield` lets nothing be enqueued. What it raises after that reaches the
        caller, but the jobs are there.
        """
        self.hooks.around_enqueue.append(middleware(checked("around_enqueue", function)))
        return function

    def around_run(self, function: AroundRun) -> AroundRun:
        """Add middleware around each run: a generator function of the job, in its thread or asyncio task."""
        self.hooks.around_run.append(middleware(checked("around_run", function)))
        return function

    # -- using -------------------------------------------------------------------------------------

    def move(self, storage: Storage) -> None:
        """Use another storage from now on. The former one is not closed."""
        self.storage = storage
        self.results = Results(storage)

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

    def queue(self, name: str) -> Queue:
        """The handle of a queue, from its name. Raises ConfigurationError for what cannot name one."""
        return Queue(self.storage, name)

    def enqueue(self, jobs: Sequence[NewJob], span: Enqueuing | None, task: BaseTask[..., R]) -> list[Job[R]]:
        """Enqueue jobs of a task; `task.enqueue` is the way to call this."""
        enqueued = self.storage.run(self.storage.enqueue(jobs), task.connection)
        if span:
            span.enqueued(enqueued)
        if self.inlined:
            self.inlined.work()
        return [Job(self, entry.id) for entry in enqueued]

    async def aenqueue(
        self, jobs: Sequence[NewJob], span: Enqueuing | None, task: BaseTask[..., R]
    ) -> list[Job[R]]:
        """`enqueue` for coroutines."""
        enqueued = await self.storage.arun(self.storage.enqueue(jobs), task.connection)
        if span:
            span.enqueued(enqueued)
        if self.inlined:
            await self.inlined.awork()
        return [Job(self, entry.id) for entry in enqueued]

    def inline(self) -> Inline:
        """Run each job as it is enqueued, in the caller's thread, on a storage in memory: for tests.

        Until `close()` of what it returns, or within `with app.inline():`.
        """
        from distq.testing import Inline  # only tests need it, and it needs what runs jobs

        if self.inlined is None:
            self.inlined = Inline(self)
        return self.inlined

    def close(self) -> None:
        """Close the connections of this process; the next use opens new ones."""
        self.results.close()
        self.storage.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.storage.aclose()
