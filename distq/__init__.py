"""distq: a distributed task queue with one set of guarantees on PostgreSQL and on Redis."""

from distq.app import DistQ, Job
from distq.errors import (
    ConfigurationError,
    DistqError,
    InvalidArguments,
    JobCancelled,
    JobError,
    JobFailed,
    JobNotFound,
    ResultTimeout,
    SchemaError,
    StorageError,
    StorageUnavailable,
    UnknownTask,
)
from distq.job import JobState
from distq.task import AsyncTask, Task

__all__ = [
    "AsyncTask",
    "ConfigurationError",
    "DistQ",
    "DistqError",
    "InvalidArguments",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFailed",
    "JobNotFound",
    "JobState",
    "ResultTimeout",
    "SchemaError",
    "StorageError",
    "StorageUnavailable",
    "Task",
    "UnknownTask",
]
