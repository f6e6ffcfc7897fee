"""The wire format: how calls, results and errors become bytes. JSON only, never pickle.

A payload is one line of headers and one line of arguments, `{"retries":5}\\n{"to":"a@b.c"}`: headers are a
JSON object, empty when there are none; arguments are a JSON object by parameter name.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from distq.checks import check, is_text


class RemoteError(NamedTuple):
    """An error as it travels: the type's name, its message, its traceback as text."""

    type: str
    message: str
    traceback: str = ""


class Progress(NamedTuple):
    """How far a job is, from 0 to 1, and what it says of it."""

    fraction: float
    message: str = ""


NO_HEADERS = b"{}"
BARE = NO_HEADERS + b"\n"
"""What a payload without headers begins with."""


def encode_headers(headers: Mapping[str, Any]) -> bytes:
    """The headers' JSON."""
    return to_json(headers) if headers else NO_HEADERS


def decode_headers(line: bytes) -> dict[str, Any]:
    """The inverse of `encode_headers`."""
    return from_json(line)


def encode_payload(headers: bytes, arguments: bytes) -> bytes:
    """The payload of a call, from the JSON of both."""
    return headers + b"\n" + arguments


def headers_of(payload: bytes) -> dict[str, Any]:
    """The headers in a payload."""
    return {} if payload.startswith(BARE) else decode_headers(payload[: payload.index(b"\n")])


def arguments_of(payload: bytes) -> bytes:
    """The arguments' JSON in a payload."""
    return payload.partition(b"\n")[2]


def encode_value(value: Any) -> bytes:
    """JSON of a value; bytes as base64. Raises PydanticSerializationError for what JSON cannot hold."""
    return to_json(value, bytes_mode="base64")


def encode_error(error: RemoteError) -> bytes:
    """JSON of an error."""
    return to_json(error._asdict())


def encode_cancellation(reason: str = "") -> bytes:
    """JSON of the error of a job that somebody cancels. Raises ConfigurationError."""
    check("reason", reason, "a text", is_text)
    return encode_error(RemoteError("Cancelled", reason or "somebody cancelled it"))


def decode_error(body: bytes) -> RemoteError:
    """The inverse of `encode_error`; an empty body is an error of which nothing is known."""
    return RemoteError(**from_json(body)) if body else RemoteError("Unknown", "no error was recorded")


def encode_progress(progress: Progress) -> bytes:
    """JSON of a progress."""
    return to_json(progress._asdict())


def decode_progress(body: bytes) -> Progress | None:
    """The inverse of `encode_progress`; an empty body is none."""
    return Progress(**from_json(body)) if body else None


def remote_error(error: BaseException) -> RemoteError:
    """An exception as it travels."""
    text = "".join(traceback.format_exception(error))
    try:
        message = str(error)
    # User code may raise what cannot even be shown; the job has failed all the same.
    except Exception:  # noqa: BLE001
        message = "its message cannot be shown"
    return RemoteError(type(error).__qualname__, _utf8(message), _utf8(text))


def _utf8(text: str) -> str:
    """The text with lone surrogates, as `os.fsdecode` makes them, written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
