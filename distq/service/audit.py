"""Who did what: a line before it is done, and one that says how it went. Who came in, and who was refused."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from distq import telemetry
from distq.errors import ConfigurationError, StorageError
from distq.service.access import Visitor
from distq.service.errors import AuditFailed

KEPT = 500
"""Entries that the page of the audit shows, the latest ones."""


PARTLY = "it may be done, or a part of it"


class Entry:
    """What somebody does. `outcome` is for who does it to say."""

    def __init__(self, number: int, who: str, what: str, about: dict[str, Any]) -> None:
        self.number, self.who, self.what, self.about = number, who, what, about
        self.at = datetime.now(UTC)
        self.outcome: str = ""

    def line(self, stage: str) -> bytes:
        """As the file has it."""
        document = {
            "at": datetime.now(UTC).isoformat(),
            "entry": f"{os.getpid()}-{self.number}",
            "stage": stage,
            "who": self.who,
            "what": self.what,
            "about": self.about,
        }
        outcome = {"outcome": self.outcome} if self.outcome else {}
        return to_json(document | outcome, fallback=str) + b"\n"


class Audit:
    """The audit of one service. Every entry is a record of telemetry, too. For any thread."""

    def __init__(self, file: Path | None = None) -> None:
        """`file` is appended to. Raises ConfigurationError where it cannot be."""
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._latest: deque[Entry] = deque(maxlen=KEPT)
        self._file = file
        self._is_torn = False
        try:
            self._write(b"")
        except AuditFailed as error:
            raise ConfigurationError(f"{file}: {error}") from None

    @property
    def latest(self) -> list[Entry]:
        """The entries of this process, the latest first."""
        with self._lock:
            return list(self._latest)[::-1]

    @contextmanager
    def noting(self, visitor: Visitor, what: str, **about: Any) -> Iterator[Entry]:
        """Note that somebody is about to do something, and how it went. Raises AuditFailed, then nothing is
        to be done.
        """
        entry = Entry(next(self._numbers), visitor.name, what, about)
        self._write(entry.line("asked"))
        with self._lock:
            self._latest.append(entry)
        try:
            yield entry
        except asyncio.CancelledError:
            entry.outcome = f"cut off by the end of the service; {PARTLY}"
            raise
        except BaseException as error:
            known = "" if not isinstance(error, StorageError) else f"; {PARTLY}"
            entry.outcome = f"failed: {type(error).__name__}: {error}{known}"
            raise
        else:
            entry.outcome = entry.outcome or "done"
        finally:
            self._conclude(entry)

    def note(self, who: str, what: str, outcome: str, **about: Any) -> None:
        """Note what has happened at the door, whether that can be written or not."""
        entry = Entry(next(self._numbers), who, what, about)
        entry.outcome = outcome
        self._conclude(entry)

    def _conclude(self, entry: Entry) -> None:
        """Say how it went. It is done by now, whether that can be written or not."""
        fields = {"who": entry.who, "what": entry.what, "outcome": entry.outcome, "about": entry.about}
        telemetry.emit("info", "audit: {who}: {what} {about}: {outcome}", **fields)
        try:
            self._write(entry.line("ended"))
        except AuditFailed as error:
            telemetry.emit("error", "{error}; the last one to be missing is {what}", error=error, **fields)

    def _write(self, line: bytes) -> None:
        if self._file is None:
            return
        # What a full disk cut off is a line of its own, and no beginning of the next one.
        line = b"\n" + line if self._is_torn else line
        try:
            self._is_torn = _append(self._file, line) < len(line)
        except OSError as error:
            raise AuditFailed(f"the audit log cannot be written: {error.strerror}") from error
        if self._is_torn:
            raise AuditFailed("the audit log cannot be written: no space left")


def _append(file: Path, line: bytes) -> int:
    """Returns how many bytes were taken. The file is opened each time, for what rotates logs may have moved
    it away; and whoever reads a pipe may not hold up the service.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(file, flags, 0o600)
    try:
        return os.write(descriptor, line)
    finally:
        os.close(descriptor)
