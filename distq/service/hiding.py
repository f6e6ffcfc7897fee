"""What who may only look is not shown of jobs: what they carry, what they gave, what their errors say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distq.admin.dead import DeadLetters
from distq.admin.views import JobView, error_of
from distq.job import JobRecord, JobState
from distq.messages import Progress, RemoteError, encode_error, encode_payload, encode_progress, encode_value

NOTHING = encode_value(None)


def hidden(record: JobRecord) -> JobRecord:
    """The same job; of what it carries and says only the names of headers, the types of errors, how far it is
    and how long what took.
    """
    job = JobView.of(record)
    is_done = record.state is JobState.DONE
    headers = encode_value(dict.fromkeys(job.headers))
    return record._replace(
        payload=encode_payload(headers, NOTHING) if record.payload else b"",
        body=NOTHING if is_done else _type(record.body),
        progress=encode_progress(Progress(job.progress.fraction)) if job.progress else b"",
        attempts=tuple(attempt._replace(error=_type(attempt.error)) for attempt in record.attempts),
    )


def _type(body: bytes) -> bytes:
    error = error_of(body)
    return encode_error(RemoteError(error.type, "")) if error else b""


def hidden_entry(about: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry of the audit is about, without the words that somebody searched for or gave as reason."""
    return {name: value for name, value in about.items() if name not in ("text", "reason")}


def hidden_letters(letters: DeadLetters) -> DeadLetters:
    """Dead letters without the messages of their errors."""
    groups = [group.model_copy(update={"messages": []}) for group in letters.groups]
    return letters.model_copy(update={"groups": groups})
