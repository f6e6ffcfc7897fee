"""A client of `distq serve`, for programs that have no connection to the storage. Needs `distq[client]`.

What it returns are the values that distq itself has, and what the service refuses are distq's errors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

try:
    import httpx
except ModuleNotFoundError:
    raise ModuleNotFoundError("the client needs httpx: pip install 'distq[client]'", name="httpx") from None
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from distq.admin.monitor import QueueStatus
from distq.errors import (
    ConfigurationError,
    DistqError,
    JobCancelled,
    JobFailed,
    ResultTimeout,
    StorageUnavailable,
)
from distq.ids import split_id
from distq.job import JobState
from distq.service.errors import KINDS, PREFIX
from distq.service.schemas import (
    BatchView,
    CancelledView,
    ChangeView,
    DeadView,
    HealthView,
    JobDetail,
    JobEntry,
    JobPage,
    MatchingView,
    NewJobView,
    PurgedView,
    QueuesView,
    QueueSwitch,
    ReplayedView,
    ResultView,
    SchedulesView,
    ScheduleSwitch,
    TasksView,
    TroublesView,
    WorkersView,
)

V = TypeVar("V", bound=BaseModel)

LONGEST_WAIT = 9.0
"""Seconds that one request waits for a result; the next one goes on."""

_ERRORS = {kind: error for error, (_, kind) in KINDS.items()}


class EnqueueOptions(TypedDict, total=False):
    """Options of an enqueue, as those of `task.options`."""

    queue: str
    delay: float
    run_at: datetime
    priority: int
    retries: int
    timeout: float
    hard_timeout: float
    key: str
    unique: Literal["active", "waiting"] | float
    remember: float
    on_conflict: Literal["return", "replace", "error"]


class Limits(TypedDict, total=False):
    """Which jobs of a state; ages are durations, `90s` or `1h`. What is left out is any."""

    task: str
    text: str
    older: str
    newer: str


class Which(Limits, total=False):
    """Which jobs of a queue."""

    states: Sequence[JobState | str]


class Search(TypedDict, total=False):
    """Which jobs of all queues, and in which order."""

    queue: Sequence[str] | str
    state: Sequence[JobState | str] | JobState | str
    task: str
    text: str
    key: str
    older: str
    newer: str
    order: Literal["latest", "first"]


class ServiceError(DistqError):
    """The service answers what no service of this version does. `status` is that of HTTP."""

    def __init__(self, url: str, status: int, detail: str) -> None:
        super().__init__(f"{url} answers {status}: {detail}")
        self.status = status


class Client:
    """A client of one service, for any thread. A context manager.

    Its methods raise what the service's problems are: JobNotFound, InvalidArguments, UnknownTask, JobExists,
    ConfigurationError, StorageUnavailable, also where the service itself does not answer, and of
    `distq.service.errors` Unauthorized, Forbidden, NotFound, TooMany, TooLarge and AuditFailed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url` is where the service is, with the prefix where it is mounted below one. `timeout` is how many
        seconds an answer may take; what is done to many jobs may take longer.
        """
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(f"{url!r} is no URL of a service: use one as http://127.0.0.1:8080")
        if not token.isascii() or not token.isprintable():
            raise ConfigurationError("the token is none of a service's: those are of ASCII characters")
        self.url, self._wait = url.rstrip("/"), min(LONGEST_WAIT, timeout / 2)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, transport=transport, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Twice is safe."""
        self._http.close()

    # -- enqueueing --------------------------------------------------------------------------------

    def enqueue(
        self,
        task: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> NewJobView:
        """Enqueue one call of a task. With an idempotency key it is safe to repeat for 24 hours."""
        call = {"task": task, "args": args, "kwargs": kwargs or {}, "options": options}
        return self._post(NewJobView, "/api/jobs", call, key=idempotency_key)

    def enqueue_many(
        self,
        task: str,
        calls: Sequence[Sequence[Any] | Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[EnqueueOptions],
    ) -> BatchView:
        """Enqueue up to 1,000 calls of a task: a mapping has arguments by name, a sequence by position."""
        given = [{"kwargs": call} if isinstance(call, Mapping) else {"args": call} for call in calls]
        batch = {"task": task, "calls": given, "options": options}
        return self._post(BatchView, "/api/jobs/batch", batch, key=idempotency_key)

    # -- jobs --------------------------------------------------------------------------------------

    def job(self, id: str) -> JobDetail:
        """A job, what has happened to it, and why it does not run."""
        return self._get(JobDetail, f"{_job(id)}")

    def jobs(self, *, limit: int = 200, **search: Unpack[Search]) -> Iterator[JobEntry]:
        """All jobs that a search finds; pages of up to `limit` are asked for as they are needed."""
        after: str | None = None
        while True:
            page = self.page(limit=limit, after=after, **search)
            yield from page.jobs
            after = page.after
            if after is None:
                return

    def page(self, *, limit: int = 50, after: str | None = None, **search: Unpack[Search]) -> JobPage:
        """A page of the jobs that a search finds, `after` another."""
        return self._get(JobPage, "/api/jobs", limit=limit, after=after, **search)

    def result(self, id: str, timeout: float | None = None) -> Any:
        """Wait for a job to end, up to `timeout` seconds, and return its result.

        Raises JobFailed, JobCancelled or ResultTimeout too.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            view = self._get(ResultView, f"{_job(id)}/result", wait=min(left, self._wait))
            if view.state.ended:
                return _value(view)
            if time.monotonic() >= deadline:
                raise ResultTimeout(id, timeout or 0.0)

    def cancel(self, id: str, reason: str = "") -> ChangeView:
        """Cancel a job: at once where it waits; where it runs it is asked to end."""
        return self._post(ChangeView, f"{_job(id)}/cancel", {"reason": reason})

    def replay(self, id: str) -> ChangeView:
        """Make a dead or cancelled job ready again."""
        return self._post(ChangeView, f"{_job(id)}/replay")

    # -- queues ------------------------------------------------------------------------------------

    def queues(self) -> QueuesView:
        """All queues: how many jobs are in each state, rates, live workers."""
        return self._get(QueuesView, "/api/queues")

    def queue(self, name: str) -> QueueStatus:
        """A queue. Raises NotFound too."""
        return self._get(QueueStatus, f"/api/queues/{_part(name)}")

    def pause(self, queue: str) -> QueueSwitch:
        """Let no job of a queue start."""
        return self._post(QueueSwitch, f"/api/queues/{_part(queue)}/pause")

    def resume(self, queue: str) -> QueueSwitch:
        """Let jobs of a queue start again."""
        return self._post(QueueSwitch, f"/api/queues/{_part(queue)}/resume")

    def matching(self, queue: str, **which: Unpack[Which]) -> MatchingView:
        """How many jobs of a queue there are: to ask before something is done to them."""
        given: dict[str, Any] = {
            "state" if name == "states" else name: value for name, value in which.items()
        }
        return self._get(MatchingView, f"/api/queues/{_part(queue)}/matching", **given)

    def cancel_matching(self, queue: str, reason: str = "", **which: Unpack[Which]) -> CancelledView:
        """Cancel jobs of a queue: by default all that wait or run."""
        body = {**which, "reason": reason}
        return self._post(CancelledView, f"/api/queues/{_part(queue)}/cancel", body, long=True)

    def replay_matching(self, queue: str, **which: Unpack[Which]) -> ReplayedView:
        """Make jobs of a queue ready again: by default all that are dead."""
        return self._post(ReplayedView, f"/api/queues/{_part(queue)}/replay", which, long=True)

    def purge_matching(
        self, queue: str, states: Sequence[JobState | str], **which: Unpack[Limits]
    ) -> PurgedView:
        """Forget jobs of a queue that are in these states."""
        body = {"states": states, **which}
        return self._post(PurgedView, f"/api/queues/{_part(queue)}/purge", body, long=True)

    # -- the deployment ----------------------------------------------------------------------------

    def workers(self) -> WorkersView:
        """The live worker processes, and what each runs."""
        return self._get(WorkersView, "/api/workers")

    def troubles(self) -> TroublesView:
        """What somebody should look at."""
        return self._get(TroublesView, "/api/troubles")

    def tasks(self) -> TasksView:
        """The tasks by which jobs can be enqueued."""
        return self._get(TasksView, "/api/tasks")

    def dead(self, *queues: str) -> DeadView:
        """Dead letters in groups, of these queues or of all."""
        return self._get(DeadView, "/api/dead", queue=queues)

    def schedules(self) -> SchedulesView:
        """The cron schedules."""
        return self._get(SchedulesView, "/api/schedules")

    def pause_schedule(self, queue: str, name: str) -> ScheduleSwitch:
        """Let a schedule not fire. Raises NotFound too."""
        return self._post(ScheduleSwitch, f"/api/schedules/{_part(queue)}/{_part(name)}/pause")

    def resume_schedule(self, queue: str, name: str) -> ScheduleSwitch:
        """Let a schedule fire again. Raises NotFound too."""
        return self._post(ScheduleSwitch, f"/api/schedules/{_part(queue)}/{_part(name)}/resume")

    def ready(self) -> HealthView:
        """Whether the service can serve. Raises StorageUnavailable or SchemaError where it cannot."""
        return self._get(HealthView, "/ready")

    def metrics(self) -> str:
        """Metrics in Prometheus' text format."""
        return self._send("GET", "/metrics").text

    # -- requests ----------------------------------------------------------------------------------

    def _get(self, view: type[V], path: str, **query: Any) -> V:
        given = {name: value for name, value in query.items() if value is not None}
        return self._read(view, self._send("GET", path, params=given))

    def _post(
        self, view: type[V], path: str, body: Any = None, *, key: str | None = None, long: bool = False
    ) -> V:
        options: dict[str, Any] = {"timeout": None} if long else {}
        headers = {} if key is None else {"Idempotency-Key": key}
        if body is not None:
            options["content"] = to_json(body)
            headers["Content-Type"] = "application/json"
        return self._read(view, self._send("POST", path, headers=headers, **options))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise StorageUnavailable(self.url, str(error) or type(error).__name__) from error
        if response.is_success:
            return response
        raise _error_of(self.url, response)

    def _read(self, view: type[V], response: httpx.Response) -> V:
        try:
            return view.model_validate_json(response.content)
        except ValidationError:
            raise ServiceError(self.url, response.status_code, "no service of this version") from None


def _job(id: str) -> str:
    """The path of a job. Raises JobNotFound for what is no job id."""
    split_id(id)
    return f"/api/jobs/{id}"


def _part(text: str) -> str:
    return quote(text, safe="")


def _value(view: ResultView) -> Any:
    if view.state is JobState.DONE:
        return view.result
    error = view.error
    if view.state is JobState.CANCELLED:
        raise JobCancelled(view.id, f"was cancelled: {error.message if error else 'nobody says why'}")
    type, message, trace = (error.type, error.message, error.traceback) if error else ("Unknown", "", "")
    raise JobFailed(view.id, type, message, trace)


def _error_of(url: str, response: httpx.Response) -> DistqError:
    """The error that a problem is."""
    try:
        problem = from_json(response.content)
        kind = _ERRORS.get(problem["type"].removeprefix(PREFIX))
        detail, about = problem["detail"], problem["about"]
        about = {name: value for name, value in about.items() if isinstance(value, str)}
    except (ValueError, TypeError, KeyError, AttributeError):
        return ServiceError(url, response.status_code, response.reason_phrase)
    if kind is None:
        return ServiceError(url, response.status_code, detail)
    # Its own message, and what it is about: how it was put together is the service's business.
    error = kind.__new__(kind)
    error.args = (detail,)
    vars(error).update(about)
    assert isinstance(error, DistqError)
    return error
