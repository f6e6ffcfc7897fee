"""DistQ: the tasks of an application, the storage they are enqueued to, and handles of their jobs."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from distq.connect import connect
from distq.errors import (
    ConfigurationError,
    JobCancelled,
    JobError,
    JobFailed,
    JobNotFound,
    ResultTimeout,
    UnknownTask,
)
from distq.ids import split_id
from distq.job import JobRecord, JobState, NewJob
from distq.messages import Progress, RemoteError, decode_error, decode_progress, encode_error
from distq.options import NAMES, Options
from distq.retry import Backoff
from distq.storage import Op
from distq.task import AsyncTask, BaseTask, P, R, Task, name_of

_T = TypeVar("_T")

FIRST_POLL, LONGEST_POLL = 0.005, 0.25
"""A waiting `result()` asks after the first, and ever more rarely up to the second, in seconds."""


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
        self.storage.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.storage.aclose()


class Job(Generic[_T]):
    """The handle of one job. `_T` is the type of its result."""

    __slots__ = ("_app", "id")

    def __init__(self, app: DistQ, job_id: str) -> None:
        self._app = app
        self.id = job_id

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def state(self) -> JobState:
        """Where the job is now. Raises JobNotFound once its record has expired."""
        return self._known(self._app.storage.run(self._app.storage.get(self.id))).state

    async def astate(self) -> JobState:
        """`state` for coroutines."""
        return self._known(await self._app.storage.arun(self._app.storage.get(self.id))).state

    def cancel(self, reason: str = "") -> JobState:
        """Cancel the job. Returns CANCELLED where it was waiting, and LEASED where it runs: then it is asked.

        An async task is cancelled at its next await, a sync one may look at `current_job().should_stop()`;
        either way it is not run again. Of a job that has ended nothing is changed, and its state returned.

        Raises:
            JobNotFound: there is no such job, or its record has expired.
        """
        answer = self._app.storage.run(self._cancellation(reason))
        return answer.get(self.id) or self.state

    async def acancel(self, reason: str = "") -> JobState:
        """`cancel` for coroutines."""
        answer = await self._app.storage.arun(self._cancellation(reason))
        return answer.get(self.id) or await self.astate()

    def _cancellation(self, reason: str) -> Op[dict[str, JobState]]:
        error = RemoteError("Cancelled", reason or "somebody cancelled it")
        return self._app.storage.cancel([self.id], reason=encode_error(error))

    @property
    def progress(self) -> Progress | None:
        """How far the job last said it is, or None. Raises JobNotFound once its record has expired."""
        return decode_progress(self._known(self._app.storage.run(self._app.storage.get(self.id))).progress)

    async def aprogress(self) -> Progress | None:
        """`progress` for coroutines."""
        record = self._known(await self._app.storage.arun(self._app.storage.get(self.id)))
        return decode_progress(record.progress)

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the job to end, up to `timeout` seconds, and return what its function returned.

        Raises:
            JobFailed: the job is dead; the error carries the remote type, message and traceback.
            JobCancelled: the job was cancelled.
            JobNotFound: there is no such job, or its result has expired.
            ResultTimeout: it has not ended within the time.
        """
        for pause in self._pauses(timeout):
            record = self._known(self._app.storage.run(self._app.storage.get(self.id)))
            if record.state.ended:
                return self._value(record)
            time.sleep(pause)
        raise ResultTimeout(self.id, timeout or 0)

    async def aresult(self, timeout: float | None = None) -> _T:
        """`result` for coroutines."""
        for pause in self._pauses(timeout):
            record = self._known(await self._app.storage.arun(self._app.storage.get(self.id)))
            if record.state.ended:
                return self._value(record)
            await asyncio.sleep(pause)
        raise ResultTimeout(self.id, timeout or 0)

    def _pauses(self, timeout: float | None) -> Iterator[float]:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, remaining = FIRST_POLL, float("inf")
        while remaining > 0:
            if deadline is not None:
                remaining = deadline - time.monotonic()
            yield max(min(pause, remaining), 0)
            pause = min(pause * 1.5, LONGEST_POLL)

    def _known(self, record: JobRecord | None) -> JobRecord:
        if record is None:
            raise JobNotFound(self.id)
        return record

    def _value(self, record: JobRecord) -> _T:
        match record.state:
            case JobState.DONE:
                return self._app.find_task(record.task).signature.decode_result(record.body)
            case JobState.DEAD:
                raise JobFailed(self.id, *decode_error(record.body))
            case JobState.CANCELLED:
                raise JobCancelled(self.id, f"was cancelled: {decode_error(record.body).message}")
        raise JobError(self.id, f"has not ended: it is {record.state}")
