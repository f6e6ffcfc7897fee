"""The handle of a job: what becomes of it, and what it returned."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import TYPE_CHECKING, Generic, TypeVar

from distq.admin.timeline import Event, timeline
from distq.admin.why import Why, explain
from distq.aside import aside
from distq.checks import check_timeout
from distq.errors import JobCancelled, JobError, JobFailed, JobNotFound, ResultTimeout
from distq.ids import split_id
from distq.job import JobRecord, JobState
from distq.messages import Progress, decode_error, decode_progress, encode_cancellation
from distq.steps import arun, run
from distq.storage import Op

if TYPE_CHECKING:
    from distq.app import DistQ

_T = TypeVar("_T")

MOMENT = 0.5
"""Seconds that an answer may take, however little time there is."""


class Job(Generic[_T]):
    """The handle of one job. `_T` is the type of its result."""

    __slots__ = ("_app", "id")

    def __init__(self, app: DistQ, job_id: str) -> None:
        self._app = app
        self.id = job_id

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def queue(self) -> str:
        """The queue that the job is in."""
        return split_id(self.id)[0]

    @property
    def task(self) -> str:
        """The name of the job's task. Raises JobNotFound once its record has expired."""
        return self._record().task

    async def atask(self) -> str:
        """`task` for coroutines."""
        return (await self._arecord()).task

    @property
    def state(self) -> JobState:
        """Where the job is now. Raises JobNotFound once its record has expired."""
        return self._record().state

    async def astate(self) -> JobState:
        """`state` for coroutines."""
        return (await self._arecord()).state

    def cancel(self, reason: str = "") -> JobState:
        """Cancel the job. Returns CANCELLED where it was waiting, and LEASED where it runs: then it is asked.

        An async task is cancelled at its next await, a sync one may look at `current_job().should_stop()`;
        either way it is not run again. Of a job that has ended nothing is changed, and its state returned.

        Raises:
            JobNotFound: there is no such job, or its record has expired.
        """
        answer = self._app.storage.run(self._cancellation(reason))
        return answer.get(self.id) or self.state

    async def acancel(self, reason: str = "") -> JobState:
        """`cancel` for coroutines."""
        answer = await self._app.storage.arun(self._cancellation(reason))
        return answer.get(self.id) or await self.astate()

    def _cancellation(self, reason: str) -> Op[dict[str, JobState]]:
        return self._app.storage.cancel([self.id], reason=encode_cancellation(reason))

    def replay(self) -> JobState:
        """Make the job ready again if it is dead or cancelled, tries and crashes at 0; its history stays.

        Returns READY, or the state in which it is left: it is in another one, or another job has its key.

        Raises:
            JobNotFound: there is no such job, or its record has expired.
        """
        replayed = self._app.storage.run(self._app.storage.replay([self.id]))
        return JobState.READY if replayed else self.state

    async def areplay(self) -> JobState:
        """`replay` for coroutines."""
        replayed = await self._app.storage.arun(self._app.storage.replay([self.id]))
        return JobState.READY if replayed else await self.astate()

    @property
    def progress(self) -> Progress | None:
        """How far the job last said it is, or None. Raises JobNotFound once its record has expired."""
        return decode_progress(self._record().progress)

    async def aprogress(self) -> Progress | None:
        """`progress` for coroutines."""
        return decode_progress((await self._arecord()).progress)

    def why(self) -> Why:
        """Why the job is not running, or what became of it, in one sentence; and what would help."""
        return run(self._app.storage, explain(self._app.storage, self.id))

    async def awhy(self) -> Why:
        """`why` for coroutines."""
        return await arun(self._app.storage, explain(self._app.storage, self.id))

    def timeline(self) -> list[Event]:
        """What has happened to the job, in order. Raises JobNotFound once its record has expired."""
        return timeline(self._record())

    async def atimeline(self) -> list[Event]:
        """`timeline` for coroutines."""
        return timeline(await self._arecord())

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the job to end, up to `timeout` seconds, and return what its function returned.

        However many wait in a process, they cost one listener. An outage meanwhile is waited out.

        Raises:
            ConfigurationError: the timeout is no time.
            InvalidResult: it is done, and its result does not fit the task's return annotation.
            JobFailed: the job is dead; the error carries the remote type, message and traceback.
            JobCancelled: the job was cancelled.
            JobNotFound: there is no such job, or its result has expired.
            ResultTimeout: it has not ended within the time, or the storage was silent for so long.
            StorageUnavailable: the storage did not answer at the beginning, or at the end.
        """
        deadline = _deadline(timeout)
        record = self._record_by(deadline, timeout)
        if not record.state.ended:
            ended = threading.Event()
            with self._app.results.waiting(self.id, ended.set):
                while not record.state.ended:
                    in_time = ended.wait(_left(deadline))
                    ended.clear()
                    record = self._record_by(deadline, timeout)
                    if not in_time and not record.state.ended:
                        raise ResultTimeout(self.id, timeout or 0)
        return self._value(record)

    async def aresult(self, timeout: float | None = None) -> _T:
        """`result` for coroutines."""
        deadline = _deadline(timeout)
        record = await self._arecord_by(deadline, timeout)
        if not record.state.ended:
            ended = asyncio.Event()
            with self._app.results.waiting(self.id, _threadsafe(ended)):
                while not record.state.ended:
                    in_time = await _within(ended, _left(deadline))
                    ended.clear()
                    record = await self._arecord_by(deadline, timeout)
                    if not in_time and not record.state.ended:
                        raise ResultTimeout(self.id, timeout or 0)
        return self._value(record)

    def _record(self) -> JobRecord:
        return self._known(self._app.storage.run(self._app.storage.get(self.id)))

    async def _arecord(self) -> JobRecord:
        return self._known(await self._app.storage.arun(self._app.storage.get(self.id)))

    def _record_by(self, deadline: float | None, timeout: float | None) -> JobRecord:
        """The record. Raises ResultTimeout where the storage is silent, at the deadline or a moment later."""
        if deadline is None:
            return self._record()
        answer = aside(self._record)
        if wait([answer], max(deadline - time.monotonic(), MOMENT)).not_done:
            raise ResultTimeout(self.id, timeout or 0)
        return answer.result()

    async def _arecord_by(self, deadline: float | None, timeout: float | None) -> JobRecord:
        if deadline is None:
            return await self._arecord()
        try:
            left = max(deadline - time.monotonic(), MOMENT)
            return await asyncio.wait_for(self._arecord(), left)
        except TimeoutError:
            raise ResultTimeout(self.id, timeout or 0) from None

    def _known(self, record: JobRecord | None) -> JobRecord:
        if record is None:
            raise JobNotFound(self.id)
        return record

    def _value(self, record: JobRecord) -> _T:
        match record.state:
            case JobState.DONE:
                return self._app.find_task(record.task).signature.decode_result(self.id, record.body)
            case JobState.DEAD:
                raise JobFailed(self.id, *decode_error(record.body))
            case JobState.CANCELLED:
                raise JobCancelled(self.id, f"was cancelled: {decode_error(record.body).message}")
            case _:
                raise JobError(self.id, f"has not ended: it is {record.state}")


def _deadline(timeout: float | None) -> float | None:
    check_timeout(timeout)
    return None if timeout is None else time.monotonic() + timeout


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0)


async def _within(event: asyncio.Event, timeout: float | None) -> bool:
    """Whether the event came within so many seconds."""
    try:
        await asyncio.wait_for(event.wait(), timeout)
    except TimeoutError:
        return False
    return True


def _threadsafe(event: asyncio.Event) -> Callable[[], None]:
    """Sets the event of the running loop from any thread; nothing where the loop has been closed since."""
    loop = asyncio.get_running_loop()

    def wake() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    return wake
