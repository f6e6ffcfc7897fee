"""distq: a distributed task queue with one set of guarantees on PostgreSQL and on Redis."""

from distq.app import DistQ
from distq.context import CurrentJob, current_job
from distq.control import Cancel, Retry, Snooze
from distq.errors import (
    ConfigurationError,
    DistqError,
    InvalidArguments,
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
from distq.task import AsyncTask, Task

__all__ = [
    "AsyncTask",
    "Cancel",
    "ConfigurationError",
    "CurrentJob",
    "DistQ",
    "DistqError",
    "InvalidArguments",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExists",
    "JobFailed",
    "JobNotFound",
    "JobState",
    "JobTimeout",
    "ResultTimeout",
    "Retry",
    "SchemaError",
    "Snooze",
    "StorageError",
    "StorageUnavailable",
    "Task",
    "UnknownTask",
    "current_job",
]
