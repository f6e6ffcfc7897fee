"""Names of queues and of jobs: what they look like, and how a new job gets its own."""

from __future__ import annotations

import os
import re
import time

from distq.errors import ConfigurationError, JobNotFound

QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_JOB_ID = re.compile(rf"({QUEUE_NAME.pattern}):([0-9a-f]{{32}})")

EXAMPLE = "mail:0198c0ffee0070008000000000000000"
"""What a job id looks like."""


def check_queue(name: str) -> str:
    """Return the name; raise ConfigurationError where it cannot name a queue."""
    if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot name a queue: 1 to 64 letters, digits, '_', '.' and '-' are allowed"
        )
    return name


def new_ids(queue: str, count: int) -> list[str]:
    """New job ids: the queue, which finds the job on Redis, and a UUIDv7 (RFC 9562) in hex.

    The ids of one call ascend. The client makes them, so that an enqueue whose answer was lost can
    be repeated safely.
    """
    random = int.from_bytes(os.urandom(10), "big")
    stamped = time.time_ns() // 1_000_000 << 16 | 0x7000 | random >> 68
    head = f"{queue}:{stamped << 32 | 1 << 31 | random >> 38 & 0x3FFFFFFF:024x}"
    first = (random & 0xFFFFFFFF) % (2**32 - count)
    return [f"{head}{number:08x}" for number in range(first, first + count)]


def unknown(job_id: str) -> JobNotFound:
    """The error for what leads to no job: a job id of ours, or something else."""
    if isinstance(job_id, str) and _JOB_ID.fullmatch(job_id):
        return JobNotFound(job_id)
    return JobNotFound(job_id, f"is no job id; one looks like {EXAMPLE}")


def split_id(job_id: str) -> tuple[str, str]:
    """The queue and the UUID of a job id; raises JobNotFound where it is not one of ours."""
    match = _JOB_ID.fullmatch(job_id) if isinstance(job_id, str) else None
    if match is None:
        raise unknown(job_id)
    return match[1], match[2]
