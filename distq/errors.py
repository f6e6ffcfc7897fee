"""The error tree. Every message is one line: what was wrong, where, what to do.

* DistqError
    * ConfigurationError        a URL, an option or a name that cannot work
        * UnknownTask           no task of that name is registered
    * InvalidArguments          a call that does not fit the task's signature
    * JobExists                 the key of a new job is another's
    * StorageError              the storage cannot do what was asked
        * StorageUnavailable    it does not answer
        * SchemaError           it and this code do not fit together
    * JobNotFound               no such job, or its record's time to live is over
    * JobError                  a job ended without a result
        * JobFailed             it is dead; carries the remote error
        * JobCancelled          it was cancelled
        * InvalidResult         it is done, and what it returned does not fit the task's annotation
    * ResultTimeout             no result within the time given
    * DrainTimeout              a queue had not come to rest within the time given
    * JobTimeout                raised in a task that runs for longer than its timeout
"""

from __future__ import annotations


class DistqError(Exception):
    """Base of every error that distq raises."""


class ConfigurationError(DistqError):
    """A URL, an option or a name cannot work."""


class UnknownTask(ConfigurationError):
    """No task of that name is registered with the app."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no task named {name!r} is registered: its module was not imported")
        self.name = name


class InvalidArguments(DistqError):
    """The arguments do not fit the task's signature; nothing was enqueued."""

    def __init__(self, task: str, problems: str) -> None:
        super().__init__(f"arguments of task {task!r} are not valid: {problems}")
        self.task = task
        self.problems = problems


class JobExists(DistqError):
    """The key is another job's, and the enqueue asked for an error then; nothing was enqueued."""

    def __init__(self, key: str, job_id: str) -> None:
        super().__init__(f"key {key!r} is taken by job {job_id}; nothing was enqueued")
        self.key = key
        self.job_id = job_id


class StorageError(DistqError):
    """The storage cannot do what was asked."""


class StorageUnavailable(StorageError):
    """The storage does not answer."""

    def __init__(self, where: str, why: object) -> None:
        reason = " ".join(str(why).split()) or type(why).__name__
        super().__init__(f"storage {where} does not answer: {reason}")
        self.where = where


class SchemaError(StorageError):
    """The storage's schema and this code do not fit together."""


class JobNotFound(DistqError):
    """There is no such job, or the time to live of its record is over."""

    def __init__(
        self, job_id: str, why: str = "is not known: never enqueued here, or its record has expired"
    ) -> None:
        super().__init__(f"job {job_id!r} {why}")
        self.job_id = job_id


class JobError(DistqError):
    """A job ended without a result."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(f"job {job_id} {message}")
        self.job_id = job_id


class JobFailed(JobError):
    """A job is dead. `type`, `message` and `traceback` are those of the worker's error."""

    def __init__(self, job_id: str, type: str, message: str, traceback: str) -> None:
        super().__init__(job_id, f"failed: {type}: {message}")
        self.type = type
        self.message = message
        self.traceback = traceback


class JobCancelled(JobError):
    """A job was cancelled before it ended."""


class InvalidResult(JobError):
    """A job is done, and what it returned does not fit the return annotation of its task."""

    def __init__(self, job_id: str, task: str, problems: str) -> None:
        super().__init__(
            job_id,
            f"is done, but its result does not fit the return annotation of task {task!r}: {problems};"
            f" mend the annotation, or see the result with `distq show {job_id}`",
        )
        self.task = task
        self.problems = problems


class ResultTimeout(DistqError):
    """The job had not ended within the time given; it goes on."""

    def __init__(self, job_id: str, timeout: float) -> None:
        super().__init__(f"job {job_id} has not ended within {timeout:g} s")
        self.job_id = job_id
        self.timeout = timeout


class DrainTimeout(DistqError):
    """The queue had not come to rest within the time given; it goes on."""

    def __init__(self, queue: str, timeout: float, *, ready: int, leased: int, paused: bool) -> None:
        rest = " (it is paused)" if paused else ""
        super().__init__(
            f"queue {queue!r} is not drained within {timeout:g} s: {ready:,} ready, {leased:,} running{rest}"
        )
        self.queue, self.timeout = queue, timeout
        self.ready, self.leased, self.paused = ready, leased, paused


class JobTimeout(DistqError, TimeoutError):
    """The job runs for longer than its timeout; raised in the task itself, which may clean up."""

    def __init__(self, message: str = "the job ran for longer than its timeout") -> None:
        super().__init__(message)
