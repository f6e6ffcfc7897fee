"""The operations of steering, looking, workers and schedules. Each is one statement of `queries/`."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from distq.ids import split_id
from distq.job import (
    ALIVE,
    Filter,
    JobRecord,
    JobState,
    Page,
    Presence,
    Recent,
    Schedule,
    Schedules,
    Tallies,
)
from distq.postgres.arrays import texts
from distq.postgres.cursors import Rows
from distq.postgres.operations import Operations, named
from distq.postgres.records import record
from distq.storage import Op

SPAN = 10_000
"""Jobs that one search looks at, at most."""

LONG_AGO = 10**10
"""Seconds that no job's age exceeds, and PostgreSQL's calendar holds."""


class Administration(Operations):
    """Builds them."""

    # -- steering ------------------------------------------------------------------------------------

    def cancel(self, ids: Sequence[str], *, reason: bytes) -> Op[dict[str, JobState]]:
        def decode(rows: Rows) -> dict[str, JobState]:
            return {
                f"{queue}:{hex_id}": JobState.LEASED if runs else JobState.CANCELLED
                for queue, hex_id, runs in rows
            }

        return self._op("cancel", decode, reason=reason, **named(ids), **self._places)

    def replay(self, ids: Sequence[str]) -> Op[set[str]]:
        return self._op("replay", _ids, **named(ids), **self._places)

    def remove(self, ids: Sequence[str]) -> Op[set[str]]:
        return self._op("remove", _ids, **named(sorted(ids)))

    def prune(self, queue: str, state: JobState, *, older: float, beyond: int, limit: int) -> Op[int]:
        return self._op(
            "prune",
            lambda rows: rows[0][0],
            queue=queue,
            state=state.value,
            older=min(older, LONG_AGO),
            beyond=beyond,
            limit=limit,
        )

    def pause(self, queue: str, *, paused: bool) -> Op[None]:
        return self._op("pause", _nothing, queue=queue, paused=paused, channel=self._target.schema)

    # -- looking -------------------------------------------------------------------------------------

    def get(self, job_id: str) -> Op[JobRecord | None]:
        def decode(rows: Rows) -> JobRecord | None:
            return next((found for row in rows if (found := record(row)).id == job_id), None)

        return self._op("get", decode, id=split_id(job_id)[1])

    def find(self, filter: Filter, *, after: str = "", limit: int, latest: bool = False) -> Op[Page]:
        def decode(rows: Rows) -> Page:
            found = [row for row in rows if row[2] is not None]
            more = found[limit - 1] if len(found) > limit else None if found == rows else rows[-1]
            return Page([record(row[2:]) for row in found[:limit]], "{}/{}".format(*more) if more else "")

        moment, _, hex_id = after.partition("/")
        return self._op(
            "find_latest" if latest else "find",
            decode,
            queue=filter.queue,
            state=filter.state.value,
            task=filter.task,
            text=filter.text.encode(),
            older=min(filter.older, LONG_AGO),
            newer=min(filter.newer or LONG_AGO, LONG_AGO),
            after=int(moment) if moment else None,
            after_id=hex_id or None,
            limit=limit,
            span=SPAN,
        )

    def holder(self, queue: str, key: str) -> Op[str | None]:
        def decode(rows: Rows) -> str | None:
            return f"{queue}:{rows[0][0]}" if rows else None

        return self._op("holder", decode, queue=queue, key=key)

    def recent(self, queue: str, *, within: float, most: int) -> Op[Mapping[JobState, Recent]]:
        def decode(rows: Rows) -> Mapping[JobState, Recent]:
            return {JobState(state): Recent(jobs, since) for state, jobs, since in rows}

        return self._op("recent", decode, queue=queue, within=min(within, LONG_AGO), most=most)

    def counts(self, queue: str) -> Op[Mapping[JobState, int]]:
        def decode(rows: Rows) -> Mapping[JobState, int]:
            return {JobState(state): count for state, count in rows if count}

        return self._op("counts", decode, queue=queue)

    def queues(self) -> Op[dict[str, bool]]:
        return self._op("queues", lambda rows: dict(rows), alive=ALIVE)

    # -- workers and schedules -----------------------------------------------------------------------

    def announce(self, presence: Presence) -> Op[None]:
        return self._op(
            "announce",
            _nothing,
            name=presence.name,
            host=presence.host,
            pid=presence.pid,
            queues=texts(presence.queues),
            tasks=texts(presence.tasks),
            vitals=presence.vitals,
            tallies=_json(presence.tallies),
        )

    def leave(self, worker: str, *, tallies: Tallies | None = None) -> Op[None]:
        return self._op("leave", _nothing, name=worker, tallies=None if tallies is None else _json(tallies))

    def tallies(self) -> Op[Tallies]:
        def decode(rows: Rows) -> Tallies:
            # The planner takes the parts for millions: to add them up itself it would start processes.
            totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for queue, kind, number in rows:
                totals[queue][kind] += number
            return {queue: dict(kinds) for queue, kinds in totals.items()}

        return self._op("tallies", decode)

    def workers(self, *, within: float) -> Op[list[Presence]]:
        def decode(rows: Rows) -> list[Presence]:
            return [
                Presence(name, host, pid, tuple(queues), tuple(tasks), seen, vitals, json.loads(tallies))
                for name, host, pid, queues, tasks, seen, vitals, tallies in rows
            ]

        return self._op("workers", decode, within=min(within, LONG_AGO))

    def schedules(self, queue: str, names: Sequence[str]) -> Op[Schedules]:
        def decode(rows: Rows) -> Schedules:
            return Schedules(rows[0][0], [Schedule(*row[1:]) for row in rows if row[1] is not None])

        return self._op("schedules", decode, queue=queue, names=texts(names))

    def switch(self, queue: str, name: str, *, paused: bool) -> Op[bool]:
        return self._op("switch", bool, queue=queue, name=name, paused=paused)

    # -- hints ---------------------------------------------------------------------------------------

    def watch(self, ids: Sequence[str]) -> Op[set[str]]:
        return self._op("watch", _ids, **named(ids))


def _nothing(rows: Rows) -> None:
    """For an operation without an answer."""


def _json(tallies: Tallies) -> str:
    return json.dumps({queue: dict(kinds) for queue, kinds in tallies.items()})


def _ids(rows: Rows) -> set[str]:
    return {f"{queue}:{hex_id}" for queue, hex_id in rows}
