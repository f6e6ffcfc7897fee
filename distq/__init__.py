"""distq: a distributed task queue with one set of guarantees on PostgreSQL and on Redis."""

from distq.admin.timeline import Event
from distq.admin.views import JobView
from distq.admin.why import Why
from distq.app import DistQ
from distq.context import CurrentJob, current_job
from distq.control import Cancel, Retry, Snooze
from distq.errors import (
    ConfigurationError,
    DistqError,
    DrainTimeout,
    InvalidArguments,
    InvalidResult,
    JobCancelled,
    JobError,
    JobExists,
    JobFailed,
    JobNotFound,
    JobTimeout,
    ResultTimeout,
    SchemaError,
    StorageError,
    StorageUnavailable,
    UnknownTask,
)
from distq.handle import Job
from distq.job import JobState
from distq.queue import Queue
from distq.task import AsyncTask, Task

__all__ = [
    "AsyncTask",
    "Cancel",
    "ConfigurationError",
    "CurrentJob",
    "DistQ",
    "DistqError",
    "DrainTimeout",
    "Event",
    "InvalidArguments",
    "InvalidResult",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExists",
    "JobFailed",
    "JobNotFound",
    "JobState",
    "JobTimeout",
    "JobView",
    "Queue",
    "ResultTimeout",
    "Retry",
    "SchemaError",
    "Snooze",
    "StorageError",
    "StorageUnavailable",
    "Task",
    "UnknownTask",
    "Why",
    "current_job",
]
