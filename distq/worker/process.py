"""The life of one worker process, started by the pool: `python -m distq.worker.process SETTINGS`."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from dataclasses import dataclass

from pydantic import TypeAdapter

from distq import telemetry
from distq.locate import URL_VARIABLE, load_app
from distq.worker.hints import Channel, Hints
from distq.worker.settings import Settings
from distq.worker.slots import Slots
from distq.worker.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a worker process must know: who it is, and the descriptors it shares with its pool."""

    app: str
    name: str
    settings: Settings
    json: bool
    slots: int
    channel: Channel
    wakeup: tuple[int, int]
    """Both ends of the pipe that wakes the process, the one to read from first."""
    lifeline: int

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that it inherits."""
        channel = self.channel
        return self.slots, *self.wakeup, self.lifeline, channel.board, channel.tokens, channel.giver

    def encode(self) -> str:
        """As one command-line argument."""
        return TypeAdapter(Birth).dump_json(self).decode()

    @staticmethod
    def decode(text: str) -> Birth:
        """The inverse of `encode`."""
        return TypeAdapter(Birth).validate_json(text)


def main() -> None:
    """Run a worker until it is told to stop, or until its pool is gone."""
    birth = Birth.decode(sys.argv[1])
    telemetry.show_on_console(json=birth.json)
    faulthandler.enable()  # the pool aborts a process that stands still: then it says where it stood
    threading.Thread(target=_follow, args=(birth.lifeline,), daemon=True).start()
    slots = Slots(birth.slots, slot_count(birth.settings))
    app = load_app(birth.app, os.environ.pop(URL_VARIABLE, ""))
    hints = Hints(app.storage, birth.settings.queues, birth.channel, birth.wakeup[0])
    sys.exit(Worker(app, birth.name, birth.settings, slots, hints, birth.wakeup).run())


def slot_count(settings: Settings) -> int:
    """Jobs that may run at once: each lane has its own."""
    return 2 * settings.concurrency


def _follow(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
