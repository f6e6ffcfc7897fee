"""Programs that are run to their end, one after the other; where this process is stopped, so are they."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from scenarios.guard import Guard
from scenarios.logs import last_words

_STOP_S = 10.0
"""How long a program may take to obey SIGTERM; the guard is the one to kill it then."""


class ErrandFailed(Exception):
    """A program did not end well; the message is what it said last, in one line."""


class Errands:
    """Runs programs in an empty directory, where no package lies that `python -m` could take for its own."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._place = guard.directory / "errands"
        self._scratch = guard.directory / "scratch"
        for directory in (self._place, self._scratch):
            directory.mkdir()
            directory.chmod(0o755)

    def python(self, *arguments: str | Path, packages: Path) -> str:
        """Run Python where the packages of a directory come before those that are installed."""
        return self.run([sys.executable, *arguments], PYTHONPATH=str(packages))

    def run(self, argv: Sequence[str | Path], **environment: str) -> str:
        """Run a program; returns what it printed. What it leaves in TMPDIR goes with the guard.

        Raises:
            ErrandFailed: its exit status is not 0.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        log = self._scratch / "log"
        with log.open("wb") as output:
            process = self._guard.start(
                argv,
                cwd=self._place,
                env=inherited | {"TMPDIR": str(self._scratch)} | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._see_out(process)
        if process.returncode != 0:
            raise ErrandFailed(last_words(log))
        return log.read_text(errors="replace")

    def _see_out(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait()
        except BaseException:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            raise
        self._guard.forget(process.pid)
