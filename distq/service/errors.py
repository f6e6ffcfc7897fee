"""What a service refuses. Its client raises the same."""

from __future__ import annotations

from distq.errors import (
    ConfigurationError,
    DistqError,
    InvalidArguments,
    JobExists,
    JobNotFound,
    ResultTimeout,
    SchemaError,
    StorageError,
    StorageUnavailable,
    UnknownTask,
)

PREFIX = "urn:distq:problem:"
"""What the type of a problem begins with."""


class Unauthorized(DistqError):
    """Nobody knows who asks."""


class Forbidden(DistqError):
    """Who asks may not do that."""


class NotFound(DistqError):
    """There is no such queue or schedule, or no page said that."""


class TooLarge(DistqError):
    """A request's body is larger than is taken."""


class TooMany(DistqError):
    """Somebody writes too often."""


class AuditFailed(DistqError):
    """The audit log cannot be written, so nothing was done."""


KINDS: dict[type[Exception], tuple[int, str]] = {
    Unauthorized: (401, "unauthorized"),
    Forbidden: (403, "forbidden"),
    JobNotFound: (404, "job-not-found"),
    NotFound: (404, "not-found"),
    JobExists: (409, "key-taken"),
    TooLarge: (413, "too-large"),
    UnknownTask: (422, "unknown-task"),
    InvalidArguments: (422, "invalid-arguments"),
    ConfigurationError: (422, "invalid-request"),
    TooMany: (429, "too-many-writes"),
    SchemaError: (503, "schema-mismatch"),
    StorageUnavailable: (503, "storage-unavailable"),
    StorageError: (503, "storage-error"),
    AuditFailed: (503, "audit-unavailable"),
    ResultTimeout: (504, "result-timeout"),
}
"""The status and the type of the problem that an error is; of two that fit the more special one."""
