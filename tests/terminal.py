"""A terminal for tests: a command runs in it, keys are typed, and what is shown is read."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_HOME = "\x1b[H"
_ENTER, _LEAVE = "\x1b[?1049h", "\x1b[?1049l"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A pseudo-terminal, and the process that has it."""

    def __init__(self, argv: Sequence[str], columns: int, lines: int, environment: dict[str, str]) -> None:
        self._ours, self._theirs = os.openpty()
        self.resize(columns, lines)
        self.before = self.settings()
        self.raw = ""
        self._closed = False
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            argv,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=inherited | {"TERM": "xterm-256color"} | environment,
        )
        os.set_blocking(self._ours, False)

    def settings(self) -> list[Any]:
        """The settings of the line: whether it echoes, waits for new lines, and so on."""
        return termios.tcgetattr(self._theirs)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def close(self) -> None:
        """Close it from outside, as a connection that is lost does."""
        if not self._closed:
            self._closed = True
            os.close(self._theirs)
            os.close(self._ours)

    @property
    def picture(self) -> list[str]:
        """The lines that are shown now."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._ours, 65_536):
                self.raw += chunk.decode(errors="replace")
        _, _, last = self.raw.rpartition(_HOME)
        return [line.rstrip() for line in _STYLE.sub("", last).split("\r\n")]

    @property
    def text(self) -> str:
        """What is shown now."""
        return "\n".join(self.picture)

    def given_back(self) -> bool:
        """Whether it is as it was before the command."""
        _ = self.picture
        screen = self.raw.count(_ENTER) == self.raw.count(_LEAVE)
        cursor = self.raw.rfind(_SHOW) > self.raw.rfind(_HIDE)
        return screen and cursor and self.settings() == self.before


@contextmanager
def terminal(*argv: str, columns: int = 80, lines: int = 24, **environment: str) -> Iterator[Terminal]:
    """A terminal in which a command runs; at the end nothing is left of it."""
    found = Terminal(argv, columns, lines, environment)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            os.killpg(found.process.pid, signal.SIGKILL)
        found.process.wait()
        found.close()
