"""What the JSON API takes and gives. The client reads the same."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from distq.admin.crew import WorkerView
from distq.admin.dead import DeadGroup
from distq.admin.monitor import QueueStatus, Trouble
from distq.admin.timeline import Event
from distq.admin.timetable import ScheduleView
from distq.admin.views import ErrorView, JobView, View
from distq.admin.why import Why
from distq.ids import EXAMPLE, QUEUE_NAME
from distq.job import HIGHEST_PRIORITY, JobState
from distq.options import LONGEST_KEY
from distq.retry import FARTHEST

MOST_CALLS = 1000
"""Calls of a batch at most."""

_QUEUE = f"^{QUEUE_NAME.pattern}$"
_LINE = r"^[^\x00\n]+$"
_TEXT = r"^[^\x00]+$"
_TEXT_OR_NONE = r"^[^\x00]*$"
_DURATION = r"^[0-9]{1,9}(\.[0-9]{1,6})?[smhdw]?$"
CURSOR = r"^[A-Za-z0-9_-]+$"
VISIBLE = r"^[\x21-\x7e]{1,200}$"

PATTERNS = {
    _QUEUE: "should be a queue's name: 1 to 64 letters, digits, '_', '.' and '-'",
    _LINE: "should be one line of text, without NUL",
    _TEXT: "should be a text without NUL",
    _TEXT_OR_NONE: "should be a text without NUL",
    _DURATION: "should be a duration, e.g. 90s, 1h or 7d",
    CURSOR: "should be what the page before said",
    VISIBLE: "should be 1 to 200 visible ASCII characters",
}
"""What each pattern asks for, in words."""

QueueName = Annotated[str, Field(pattern=_QUEUE, examples=["mail"])]
TaskName = Annotated[str, Field(min_length=1, max_length=512, pattern=_LINE, examples=["shop.send"])]
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=_TEXT)]
Duration = Annotated[str, Field(pattern=_DURATION, examples=["90s", "1h", "7d"], max_length=20)]
"""Seconds, or a number of s, m, h, d or w."""

Seconds = Annotated[float, Field(strict=True, ge=0, le=FARTHEST, allow_inf_nan=False)]
Limit = Annotated[float, Field(strict=True, gt=0, le=FARTHEST, allow_inf_nan=False)]


def _whole(value: Any) -> Any:
    """In JSON 3.0 is the same number as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Priority = Annotated[int, Field(strict=True, ge=0, le=HIGHEST_PRIORITY), BeforeValidator(_whole)]
Retries = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1), BeforeValidator(_whole)]


class Body(BaseModel):
    """Base of what is taken: a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")


# -- what is taken ---------------------------------------------------------------------------------------


class EnqueueOptions(Body):
    """Options of `task.options`; what is left out is as the task declares it."""

    queue: QueueName | None = None
    delay: Seconds | None = Field(default=None, examples=[60])
    run_at: AwareDatetime | None = None
    priority: Priority | None = None
    retries: Retries | None = None
    timeout: Limit | None = None
    hard_timeout: Limit | None = None
    key: str | None = Field(default=None, max_length=LONGEST_KEY, pattern=_TEXT_OR_NONE)
    unique: Literal["active", "waiting"] | Limit | None = None
    remember: Seconds | None = None
    on_conflict: Literal["return", "replace", "error"] | None = None


class Call(Body):
    """The arguments of a call: by position, by name, or both."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class NewCall(Call):
    """A call to enqueue."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"task": "shop.send", "kwargs": {"to": "a@b.c"}}]}
    )

    task: TaskName
    options: EnqueueOptions = EnqueueOptions()


class NewBatch(Body):
    """Calls of one task to enqueue together."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"task": "shop.send", "calls": [{"args": ["a@b.c"]}]}]}
    )

    task: TaskName
    calls: list[Call] = Field(min_length=1, max_length=MOST_CALLS)
    options: EnqueueOptions = EnqueueOptions()


class Selection(Body):
    """Jobs of a queue, of any task, error and age. Age counts from the end for those that have ended, else
    from the enqueue.
    """

    task: TaskName | None = None
    text: Text | None = Field(None, description="In the error or the result.")
    older: Duration | None = None
    newer: Duration | None = None


class Cancellation(Selection):
    """Jobs to cancel, of these states, or all that wait or run; and why, which is kept as their error."""

    states: list[Literal["scheduled", "ready", "leased"]] = Field([], examples=[["scheduled"]])
    reason: str = Field("", max_length=1000, pattern=_TEXT_OR_NONE)


class Repetition(Selection):
    """Jobs to make ready again, of these states, or all that are dead."""

    states: list[Literal["dead", "cancelled"]] = Field([], examples=[["dead"]])


class Purge(Selection):
    """Jobs to forget, of these states, which have to be named: what is forgotten does not come back."""

    states: list[Literal["scheduled", "ready", "done", "dead", "cancelled"]] = Field(
        min_length=1, examples=[["dead"]]
    )


class Reason(Body):
    """Why a job is cancelled."""

    reason: str = Field("", max_length=1000, pattern=_TEXT_OR_NONE)


# -- what is given ---------------------------------------------------------------------------------------


class NewJobView(View):
    """A job that was enqueued, or had its key: then `created` is false. `state` is None where its record has
    expired since.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": EXAMPLE, "state": "ready", "created": True}]}
    )

    id: str
    state: JobState | None
    created: bool


class BatchEntry(View):
    """A job of a batch."""

    id: str
    created: bool


class BatchView(View):
    """The jobs of a batch, in the order of its calls."""

    jobs: list[BatchEntry]


class JobEntry(JobView):
    """A job. `redacted` says that what it carries is not shown to who asks."""

    redacted: bool


class JobDetail(JobEntry):
    """A job, what has happened to it, and why it does not run or what became of it."""

    timeline: list[Event]
    why: Why


class JobPage(View):
    """A page of jobs. `after` leads to the next one, None where there is none. A page may be short, even
    empty, and yet have a next one: the search for it has a bound.
    """

    jobs: list[JobEntry]
    after: str | None


class ResultView(View):
    """What became of a job; `result` is of one that is done, `error` of one that is dead or cancelled."""

    id: str
    state: JobState
    result: Any
    error: ErrorView | None


class ChangeView(View):
    """In which state a job is now, and whether that was changed; one that runs is asked to end."""

    id: str
    state: JobState
    changed: bool


class CancelledView(View):
    """How many jobs were cancelled at once, and how many run and were asked to end."""

    cancelled: int
    asked: int


class ReplayedView(View):
    """How many jobs are ready again, and how many are not, as another job has their key."""

    replayed: int
    refused: int


class PurgedView(View):
    """How many jobs were forgotten."""

    purged: int


class MatchingView(View):
    """How many jobs are meant; where `more` is true there are at least so many."""

    number: int
    more: bool


class QueueSwitch(View):
    """Whether a queue is paused now."""

    queue: str
    paused: bool


class ScheduleSwitch(View):
    """Whether a schedule is paused now."""

    queue: str
    name: str
    paused: bool


class QueuesView(View):
    """The queues, as they were at a moment of the storage's clock."""

    at: datetime
    queues: list[QueueStatus]


class WorkersView(View):
    """The worker processes that are alive, as they were at a moment of the storage's clock."""

    at: datetime
    workers: list[WorkerView]


class TroublesView(View):
    """What somebody should look at, as it was at a moment of the storage's clock."""

    at: datetime
    troubles: list[Trouble]


class SchedulesView(View):
    """The cron schedules."""

    schedules: list[ScheduleView]


class TaskView(View):
    """A task: its queue unless a call says another, and a JSON schema of its arguments by name."""

    name: str
    queue: str
    arguments: dict[str, Any] | None


class TasksView(View):
    """The tasks of the application; none where the service knows no application."""

    tasks: list[TaskView]


class DeadView(View):
    """Dead letters in groups, the largest first. `partial` names the queues of which only the latest were
    looked at.
    """

    groups: list[DeadGroup]
    partial: list[str]
    redacted: bool


class HealthView(View):
    """That the service is there."""

    status: Literal["ok"] = "ok"
