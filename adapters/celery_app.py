"""What the Celery contenders share: the app, its profiles, sending, and the pool.

The pool is prefork, or one solo worker a process where that is faster (tuned). Settings are those of
https://docs.celeryq.dev/en/stable/userguide/configuration.html; what is said of the worker was read
in `celery/worker/` and `celery/backends/` of version 5.7.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import celery
import kombu
from amqp.exceptions import AMQPError, MessageNacked
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.messaging import Producer

from adapters import processes
from adapters.base import Adapter, Cell, Handler, JobSpec, Profile, Promises, Submission

# userguide/tasks.html, Task.acks_late and Task.reject_on_worker_lost: a message is acked when the task
# has returned and its result is stored, and put back when the child that ran it was killed.
MATCHED = {"task_acks_late": True, "task_reject_on_worker_lost": True}
# userguide/optimizing.html, "Prefetch Limits": for many short tasks "say 64, or 128".
TUNED = MATCHED | {"worker_prefetch_multiplier": 128}
# userguide/concurrency: solo runs a task where its message arrived, without the pipes between parent
# and child. One such worker a process, so that as many jobs run at once as with prefork.
SOLO = {"worker_pool": "solo"}
CHUNKS: dict[Profile, int] = {"default": 1, "matched": 1, "tuned": 100}
"""How many jobs are sent before their fate is asked, where the transport can."""

UNEQUAL = (
    "A message for each job, acknowledged by itself where the broker takes that: Celery has no batches of its"
    " own, where distq and the raw contenders settle hundreds of jobs at once.",
    "A worker process runs one job at a time: threads, gevent and eventlet are not used. Nor is"
    " ignore_result, which the guide advises where nobody reads results: here they are checked.",
    "Default acknowledges when the run begins: who is killed then loses the job, and it may be settled before"
    " it has finished.",
)


def promises(profile: Profile, results: str, lost_worker_s: float, chunk: int) -> Promises:
    """The row of a contender whose job runs again so many seconds after its worker process was killed."""
    early = profile == "default"
    return Promises(
        delivery="at most once" if early else "at least once",
        acked="before the run" if early else "after the run, result stored",
        fenced=False,
        results=f"{results}, kept a day",
        prefetch="128 a process" if profile == "tuned" else "4 a process",
        batch=f"{'1' if chunk == 1 else f'up to {chunk}'} sent, 1 acked",
        redelivery_s=None if early else lost_worker_s,
    )


class CeleryAdapter(Adapter):
    """What the three brokers share. `default` is getting-started/first-steps-with-celery.html."""

    _profiles: ClassVar[Mapping[Profile, dict[str, Any]]]
    _chunks: ClassVar[Mapping[Profile, int]] = CHUNKS
    _acknowledges: ClassVar[bool] = True
    """Whether an acknowledgement goes to the broker."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._queue = cell.namespace
        self._chunk = self._chunks[cell.profile]
        self._handler = cell.make_handler()
        self._app = self._make_app()
        self._sender = self._app
        if cell.profile == "tuned":
            # Who waits for no result needs no backend: the Redis one subscribes to a channel for
            # every task that is sent (celery/backends/redis.py, on_task_call).
            self._sender = self._make_app(result_backend="disabled")

    def _make_app(self, **settings: Any) -> celery.Celery:
        app = celery.Celery(self._queue, set_as_current=False)
        app.conf.update(
            broker_connection_retry_on_startup=True,
            # Everything Celery makes on a broker is named by these.
            task_default_queue=self._queue,
            control_exchange=self._queue,
            event_exchange=f"{self._queue}.events",
            event_queue_prefix=f"{self._queue}.events",
        )
        profile = self._profiles[self._cell.profile]
        if self._cell.batch:
            profile = profile | {"worker_prefetch_multiplier": self._cell.batch}
        app.conf.update(profile | self._servers() | settings)

        request = acknowledging(self._handler) if self._acknowledges else Request

        @app.task(name="job", shared=False, Request=request)
        def job(job_id: int, payload: str) -> int:
            return self._handler(job_id, payload)

        return app

    @abstractmethod
    def _servers(self) -> dict[str, Any]:
        """The settings that name the broker and the backend."""

    def setup(self) -> None:
        with self._connection() as connection:
            self._app.amqp.default_queue(connection.default_channel).declare()

    def _connection(self) -> Connection:
        return self._app.connection_for_write()

    def submit(self, jobs: Iterable[JobSpec]) -> Iterator[Submission]:
        waiting = iter(jobs)
        with self._sender.producer_or_acquire() as producer:
            while chunk := list(islice(waiting, self._chunk)):
                status = self._try_send(producer, chunk)
                for job in chunk:
                    yield Submission(job.id, status)

    def _try_send(
        self, producer: Producer, jobs: Sequence[JobSpec]
    ) -> Literal["accepted", "rejected", "unknown"]:
        try:
            self._send(producer, jobs)
        except MessageNacked:
            return "rejected" if len(jobs) == 1 else "unknown"
        except (KombuError, AMQPError, OSError):
            return "unknown"
        return "accepted"

    def _send(self, producer: Producer, jobs: Sequence[JobSpec]) -> None:
        task = self._sender.tasks["job"]
        for job in jobs:
            task.apply_async(tuple(job), task_id=self._task_id(job.id), producer=producer)

    def _task_id(self, job_id: int) -> str:
        return f"{self._queue}-{job_id}"

    def run_pool(self) -> None:
        # The banner stays: printing it opens the result backend before the fork, and only so the
        # database backend keeps its connections (celery/backends/database/session.py, `forked`).
        argv = ["worker", "--loglevel=WARNING"]
        if self._cell.profile == "tuned":
            # Chatter between workers that nobody listens to here. The heartbeat stays: its timer is
            # what wakes an idle solo worker to see that it was told to end.
            argv += ["--without-gossip", "--without-mingle"]
        if self._app.conf.worker_pool == "prefork":
            self._run_worker([*argv, f"--concurrency={self._cell.processes}"])
        else:
            processes.run(lambda _: self._run_worker(argv), self._cell.processes)

    def _run_worker(self, argv: list[str]) -> None:
        self._app.worker_main([*argv, f"--hostname=celery{os.getpid()}@%h"])

    def effective_settings(self) -> Mapping[str, str]:
        names = ("worker_pool", "worker_prefetch_multiplier", "task_acks_late", "task_reject_on_worker_lost")
        with self._connection() as connection:
            transport = f"{connection.transport.driver_type} {connection.transport.driver_version()}"
        return {
            "concurrency": "1 (processes only)",
            "celery": celery.__version__,
            "kombu": kombu.__version__,
            "transport": transport,
            "result_backend": type(self._app.backend).__name__,
            **{name: str(self._app.conf[name]) for name in (*names, "task_serializer")},
        }

    def teardown(self) -> None:
        self._sender.close()
        self._app.close()


def acknowledging(handler: Handler) -> type[Request]:
    """A request that tells the handler when its message was acknowledged, in the worker's main process.

    userguide/tasks.html, "Requests and custom requests". The worker acknowledges in its own time, as a
    promise says (`call_soon_ack` in celery/worker/consumer/consumer.py); for Redis the answer is there then,
    for AMQP, which has none, it was sent.
    """

    class Acknowledging(Request):
        def acknowledge(self) -> None:
            if not self.acknowledged:
                self.on_ack.then(lambda sent: sent.then(self._note))
            super().acknowledge()

        def _note(self, _: object) -> None:
            if self.message.acknowledged:  # a lost connection is only logged
                handler.settled([self.args[0]])

    return Acknowledging


class NoDelayedDelivery(Consumer):
    """A worker's consumer without the step for ETA on quorum queues.

    That step declares 28 exchanges and queues whose names no setting changes; no job here has an ETA.
    """

    class Blueprint(Consumer.Blueprint):
        """The same steps but that one."""

        default_steps: ClassVar = [step for step in Consumer.Blueprint.default_steps if "delayed" not in step]
