"""The storage as a command uses it: one that is silent is given up, however it is silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import wait
from typing import Self, TypeVar

import typer

from distq import steps
from distq.aside import aside
from distq.connect import connect
from distq.errors import ConfigurationError, DistqError, StorageUnavailable
from distq.steps import Steps
from distq.storage import Op, Storage

PATIENCE = 1.25
"""Seconds to wait for an answer before asking whether anybody is there, and then for the answer to that."""

T = TypeVar("T")


class Session:
    """A storage for one command. A context manager."""

    def __init__(self, storage: Storage, *, private: bool = False) -> None:
        """`private`: one that is in this process alone will do. Raises ConfigurationError for such a one."""
        self.storage = storage
        if storage.where.startswith("memory:") and not private:
            raise ConfigurationError(
                "memory:// is in one process alone, so a command sees nothing of it: use postgresql:// or redis://"
            )

    @classmethod
    def at(cls, url: str) -> Self:
        """With the storage of a URL. Raises ConfigurationError."""
        return cls(connect(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.storage.close()

    def run(self, op: Op[T]) -> T:
        """Execute an operation."""
        return self.call(lambda: self.storage.run(op))

    def take(self, work: Steps[T]) -> T:
        """Take steps."""
        return self.call(lambda: steps.run(self.storage, work))

    def queues(self, names: Sequence[str]) -> list[str]:
        """These queues, or all that there are. Of which nothing is known is said: it may be a slip."""
        known = self.run(self.storage.queues())
        for name in dict.fromkeys(names):
            if name not in known:
                typer.echo(f"distq: queue {name}: it has no job, no worker and no setting yet", err=True)
        return list(names or known)

    def call(self, function: Callable[[], T]) -> T:
        """Call what uses the storage, in another thread: some waits of client libraries nothing interrupts.

        Raises:
            StorageUnavailable: there is no answer, and on another connection none either.
        """
        answer = aside(function)
        while wait([answer], PATIENCE).not_done:
            sign = aside(self._sign_of_life)
            if wait([sign], PATIENCE).not_done and not answer.done():
                raise StorageUnavailable(self.storage.where, f"no answer within {2 * PATIENCE:g} s")
            if sign.done():
                sign.result()
        return answer.result()

    def _sign_of_life(self) -> None:
        """Any answer on another connection; raises StorageUnavailable where there is none."""
        try:
            self.storage.run(self.storage.workers(within=0))
        except StorageUnavailable:
            raise
        except DistqError:
            pass
