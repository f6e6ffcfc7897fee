"""Which jobs a page is asked for: the fields of the search, and of what is done to all that it finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from starlette.datastructures import ImmutableMultiDict

from distq.admin.bulk import CANCELLABLE, REMOVABLE, REPLAYABLE
from distq.admin.listing import ORDER, Wanted
from distq.admin.wording import seconds_of
from distq.errors import ConfigurationError
from distq.ids import check_queue
from distq.job import Filter, JobState
from distq.service.errors import Forbidden

ORDERS = {"": None, "latest": True, "first": False}
"""Which end comes first, by the word of the address."""

LONGEST = 1000
"""Characters of a text that is searched for."""

OLDEST = 1e10
"""Seconds that no job is old."""

ALLOWED: Mapping[str, Sequence[JobState]] = {
    "replay": REPLAYABLE,
    "cancel": CANCELLABLE,
    "purge": REMOVABLE,
}
"""In which states something can be done to jobs."""


class Search(NamedTuple):
    """The search as the address has it. Ages are durations as people write them, `90s` or `1h`."""

    q: str = ""
    queue: str = ""
    state: tuple[str, ...] = ()
    task: str = ""
    text: str = ""
    older: str = ""
    newer: str = ""
    order: str = ""

    @classmethod
    def of(cls, given: ImmutableMultiDict[str, Any]) -> Self:
        """From a query or a form; what is no field of a search is left out."""
        fields: dict[str, Any] = {
            name: str(given.get(name, "")).strip() for name in cls._fields if name != "state"
        }
        return cls(**fields, state=tuple(str(state) for state in given.getlist("state") if state))

    @property
    def query(self) -> dict[str, Any]:
        """As an address needs it."""
        return {**self._asdict(), "state": list(self.state)}

    def wanted(self, *, operates: bool) -> Wanted:
        """What is to be found. Raises ConfigurationError for what cannot be, Forbidden for a text by which a
        reader could guess what is hidden.
        """
        if self.text and not operates:
            raise Forbidden("this token may not search in errors: they are hidden from it")
        for name in ("q", "task", "text"):
            check_words(name, getattr(self, name))
        if self.order not in ORDERS:
            raise ConfigurationError(f"order {self.order!r}: use {' or '.join(filter(None, ORDERS))}")
        return Wanted(
            queues=[check_queue(self.queue)] if self.queue else (),
            states=[_state(name) for name in self.state],
            task=self.task,
            text=self.text,
            key=self.q,
            older=_age("older", self.older),
            newer=_age("newer", self.newer),
            latest=ORDERS[self.order],
        )

    def filters(self, action: str, queues: Sequence[str]) -> list[Filter]:
        """What is found of these queues to which an action can be done. Raises as `wanted`."""
        wanted = self.wanted(operates=True)
        if wanted.key:
            raise ConfigurationError("a key is one job's: tick it")
        states = [
            state
            for state in ORDER
            if state in ALLOWED[action] and (not wanted.states or state in wanted.states)
        ]
        return [
            Filter(queue, state, wanted.task, wanted.text, wanted.older, wanted.newer)
            for queue in wanted.queues or queues
            for state in states
        ]

    @property
    def words(self) -> str:
        """What its jobs have in common beside their state, as the end of a sentence."""
        said: list[tuple[str, Callable[[str], str]]] = [
            (self.queue, lambda queue: f"of queue {queue}"),
            (self.task, lambda task: f"of task {task}"),
            (self.text, _said_of_error),
            (self.older, lambda age: f"older than {age}"),
            (self.newer, lambda age: f"newer than {age}"),
        ]
        return " ".join(words(value) for value, words in said if value)


def _said_of_error(text: str) -> str:
    """How an error begins in its encoded form says of which type it is: the group of a dead letter."""
    if found := re.fullmatch(r'\{"type":"([\w.]+)",', text):
        return f"that died of {found[1]}"
    return f"whose error contains “{text}”"


def check_words(name: str, text: str) -> str:
    """Return a text; raise ConfigurationError for one that no store can be asked about."""
    if len(text) > LONGEST or "\0" in text:
        raise ConfigurationError(f"{name}: use a text of up to {LONGEST:,} characters, none of them NUL")
    return text


def _state(name: str) -> JobState:
    if name not in list(JobState):
        raise ConfigurationError(f"there is no state {name!r}: use {', '.join(ORDER)}")
    return JobState(name)


def _age(name: str, text: str) -> float:
    try:
        age = seconds_of(text) if text else 0.0
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    if age > OLDEST:
        raise ConfigurationError(f"{name}: nothing is that old")
    return age
