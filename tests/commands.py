"""Runs commands of `distq` as a user does: in this process, which is fast, or in one of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from distq.cli import main

ARGV = [sys.executable, "-m", "distq"]


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON document that it wrote, after it went well."""
        assert (self.status, self.err) == (0, "")
        return json.loads(self.out)

    def refused(self, status: int, *words: str) -> None:
        """Assert that it ended with one line on stderr that has these words, and nothing on stdout."""
        assert (self.status, self.out) == (status, "")
        self.complained(*words)

    def complained(self, *words: str) -> None:
        """Assert that it wrote one line on stderr, with these words."""
        assert self.err.endswith("\n")
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.startswith("distq: ")
        for word in words:
            assert word in self.err


def distq(*arguments: str) -> Done:
    """Run a command here."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as end:
            return Done(int(end.code or 0), out.getvalue(), err.getvalue())


def apart(*arguments: str, cwd: Path | None = None, **environment: str) -> Done:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [*ARGV, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
    )
    return Done(done.returncode, done.stdout, done.stderr)
