"""A terminal that a command takes over, and gives back as it was, however the command ends."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import FrameType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

_LEAVE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_KEYS = b"qQ\x03\x04"
"""What ends: q; and Ctrl-C and Ctrl-D, where the terminal makes no signal and no end of them."""


class Event(Enum):
    """Why a wait ended: the time is over, something is to be drawn, or all is to end."""

    TIME = auto()
    DRAW = auto()
    QUIT = auto()


class Screen:
    """The whole terminal. A context manager, for the main thread. A terminal that is closed ends it.

    A second SIGTERM or Ctrl-C kills: a terminal that takes no more text can keep it from ending. The line is
    given back at the first.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        self._saved: list[Any] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._closed = False
        self._hears, self._tells = os.pipe()
        for end in (self._hears, self._tells):
            os.set_blocking(end, False)

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(self._tells, warn_on_full_buffer=False)
        for number in _LEAVE:
            self._handlers[number] = signal.signal(number, self._once)
        for number in (signal.SIGWINCH, signal.SIGTSTP):
            self._handlers[number] = signal.signal(number, _note)
        self._take()
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        if self._closed:
            with open(os.devnull, "w") as nowhere:  # else Python complains at its end
                os.dup2(nowhere.fileno(), sys.stdout.fileno())

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        return self._console.size.width, self._console.size.height

    def show(self, lines: Sequence[Text]) -> None:
        """Show these lines from the top, unless the terminal takes no text now."""
        text = Text("\n", no_wrap=True, overflow="crop").join(lines)
        with self._unless_closed():
            _, takes, _ = select.select([], [sys.stdout], [], 0)
            if self._live and takes:
                self._live.update(text, refresh=True)

    def wait(self, seconds: float) -> Event:
        """Wait for a key, a signal, or `wake`; not longer than so many seconds."""
        if self._closed:
            return Event.QUIT
        keyboard = [sys.stdin.fileno()] if self._saved else []
        heard, _, _ = select.select([self._hears, *keyboard], [], [], max(seconds, 0.0))
        if any(_ends(typed) for typed in map(_read, set(keyboard).intersection(heard))):
            return Event.QUIT
        if self._hears not in heard:
            return Event.TIME
        signals = os.read(self._hears, 1024)
        if signal.SIGTSTP in signals:
            self._suspend()
        return Event.QUIT if any(number in signals for number in _LEAVE) else Event.DRAW

    def wake(self) -> None:
        """Let `wait` end. For any thread."""
        with suppress(OSError):  # it is full, so it wakes anyway
            os.write(self._tells, b"\0")

    # -- taking it, and giving it back ---------------------------------------------------------------

    def _take(self) -> None:
        live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with self._unless_closed():
            if sys.stdin is not None and sys.stdin.isatty():
                self._saved = termios.tcgetattr(sys.stdin)
                tty.setcbreak(sys.stdin)
            live.start()
            self._live = live

    def _give_back(self) -> None:
        with self._unless_closed():
            if self._live:
                self._live.stop()
        self._give_line_back()
        self._live = self._saved = None

    def _give_line_back(self) -> None:
        with self._unless_closed():
            if self._saved:
                termios.tcsetattr(sys.stdin, termios.TCSANOW, self._saved)

    def _once(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._give_line_back()

    def _suspend(self) -> None:
        """Ctrl-Z: the shell has the terminal, until `fg`. Where no shell could let it go on, as by `ssh -t`,
        the system does not stop it.
        """
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, _note)
        self._take()

    @contextmanager
    def _unless_closed(self) -> Iterator[None]:
        try:
            yield
        except (OSError, termios.error):
            self._closed = True


def _note(number: int, _: FrameType | None) -> None:
    """The signal's number wakes `wait`."""


def _read(keyboard: int) -> bytes:
    """What was typed; nothing where the terminal is closed."""
    try:
        return os.read(keyboard, 1024)
    except OSError:
        return b""


def _ends(typed: bytes) -> bool:
    return not typed or any(key in typed for key in _KEYS)
