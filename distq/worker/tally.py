"""How the attempts of a worker process ended: counted by queue and kind, a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter

from distq.job import Outcome, OutcomeKind, Tallies

_kind = itemgetter(Outcome._fields.index("kind"))


class Tally:
    """The counts since the start of the process. For the I/O thread."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = {queue: Counter[OutcomeKind]() for queue in queues}

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """The storage has taken these."""
        if len(self._queues) == 1:  # the usual case, spared a look at each id
            (kinds,) = self._queues.values()
            kinds.update(map(_kind, outcomes))
            return
        for outcome in outcomes:
            self._queues[outcome.id.partition(":")[0]][outcome.kind] += 1

    @property
    def tallies(self) -> Tallies:
        """By queue and the name of the kind. What was released was no attempt."""
        return {
            queue: {kind.value: count for kind, count in kinds.items() if kind is not OutcomeKind.RELEASE}
            for queue, kinds in self._queues.items()
            if kinds
        }
