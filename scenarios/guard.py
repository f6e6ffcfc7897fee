"""The guard: a small process that outlives the runner by a moment, so that nothing else does.

The runner holds the write end of a pipe, the guard the read end. Whatever ends the runner (its own
`close`, an exception, Ctrl-C, SIGTERM, even SIGKILL) closes that pipe. The guard then stops every
process group it knows, removes the directory it made, and ends. Nothing is cleaned up in another way.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

GRACE_S = 2.0
"""How long a process may take to obey its stop signal before it is killed."""

# A process announces itself on the guard's pipe (its stdin until then) before it becomes the program:
# the runner may be killed at any line, and never leaves a process that the guard has not heard of.
_ANNOUNCE = 'echo "watch $$ $0" >&0 && exec "$@" </dev/null'


class Guard:
    """The runner's end: starts processes that end with the runner, in a directory that goes with it."""

    directory: Path
    """A new directory that every user may enter and only its owner may list."""

    def __init__(self, parent: Path) -> None:
        """Start the guard; its directory is made in `parent`."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, parent],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._pipe = self._process.stdin
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        with self._process.stdout as answer:
            self.directory = Path(os.fsdecode(answer.readline().rstrip(b"\n")))

    def start(
        self, argv: Sequence[str | Path], *, stop: int = signal.SIGTERM, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a program as the leader of its own session; `options` are those of Popen, but for stdin.

        A terminal's Ctrl-C does not reach it. If it is still there at the end its group gets `stop`,
        and SIGKILL after `GRACE_S`.
        """
        process = subprocess.Popen[bytes](
            ["/bin/sh", "-c", _ANNOUNCE, str(int(stop)), *argv],
            stdin=self._pipe,
            start_new_session=True,
            **options,
        )
        self._started[process.pid] = process
        return process

    def watch(self, pid: int, *, stop: int = signal.SIGTERM) -> None:
        """Take charge of a process group that somebody else started; `pid` is its leader."""
        self._send(f"watch {pid} {int(stop)}")

    def forget(self, pid: int) -> None:
        """Leave alone a process group that has ended, whose number may be given to another."""
        self._started.pop(pid, None)
        self._send(f"forget {pid}")

    def close(self) -> None:
        """Have everything stopped and removed, and wait for it. Twice is safe."""
        if self._pipe.closed:
            return
        self._send("end")
        self._pipe.close()
        for process in self._started.values():
            process.wait()
        if self._process.wait() != 0:
            raise OSError(f"the guard could not remove {self.directory}: its error is above")

    def _send(self, line: str) -> None:
        self._pipe.write(f"{line}\n".encode())


def main(parent: str) -> None:
    """The guard's own life: make the directory, listen until the runner is gone, clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    directory = tempfile.mkdtemp(prefix="distq-", dir=parent)
    os.chmod(directory, 0o711)
    with suppress(BrokenPipeError):  # the runner is gone already: go on to the end
        os.write(1, os.fsencode(directory) + b"\n")

    groups: dict[int, int] = {}
    for command, *numbers in _lines():
        if command == "watch":
            groups[int(numbers[0])] = int(numbers[1])
        elif command == "forget":
            groups.pop(int(numbers[0]), None)
    _stop(groups)
    _remove(directory)


def _lines() -> Iterator[list[str]]:
    """The runner's commands, until its end of the pipe is closed.

    A child that the runner forked may hold the pipe open longer than the runner lives; so once the
    runner has said `end`, or is gone, silence will do.
    """
    runner, ended, rest = os.getppid(), False, b""
    while True:
        if not select.select([0], [], [], 0.5)[0]:
            if ended or os.getppid() != runner:
                return
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            ended = ended or line == b"end"
            yield line.decode().split()


def _stop(groups: Mapping[int, int]) -> None:
    members = _members(groups)
    for group, number in groups.items():
        _signal(group, number)
    survivors = _wait(members)
    for group in groups:
        _signal(group, signal.SIGKILL)
    for process in survivors:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _wait(survivors)


def _members(groups: Collection[int]) -> set[psutil.Process]:
    """The processes of the groups and their descendants: Erlang's and PostgreSQL's leave the group."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) in groups:
                found.update((process, *process.children(recursive=True)))
    return found


def _signal(group: int, number: int) -> None:
    # PermissionError is macOS's word for a group of which only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wait(processes: Collection[psutil.Process]) -> list[psutil.Process]:
    """Those that still run after the grace. A zombie has ended, whenever its parent takes note."""
    deadline = time.monotonic() + GRACE_S
    while running := [process for process in processes if _runs(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return running


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _remove(directory: str) -> None:
    deadline = time.monotonic() + GRACE_S
    while os.path.exists(directory):
        try:
            shutil.rmtree(directory)
        except OSError:  # a process that was just killed may have made one more file
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1])
