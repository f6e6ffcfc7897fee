"""Connections to Redis: URLs, sockets, listeners, and calls whose answer was lost."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from distq.connect import connect
from distq.errors import ConfigurationError, StorageUnavailable
from distq.ids import new_ids
from distq.job import Conflict, Heard, JobState, NewJob, Outcome, OutcomeKind, Unique
from distq.redis.storage import RedisStorage
from scenarios.guard import Guard
from scenarios.servers.disk import find_disk
from scenarios.servers.redis import RedisServer
from tests.contract.steps import QUEUE, WHY, add, keyed, make, record, take
from tests.helpers import eventually
from tests.prefixes import client as client
from tests.prefixes import prefix as prefix
from tests.prefixes import storage as storage

# -- hints -----------------------------------------------------------------------------------------------


def test_a_listener_whose_connection_is_lost_opens_another(storage: RedisStorage, client: Any) -> None:
    listener = storage.listener(queues=[QUEUE])
    reader, writer = os.pipe()
    assert listener.wait(timeout=5, wakeup=reader) == Heard(gap=True, sure=True)
    client.client_kill_filter(_type="pubsub", skipme=True)
    assert listener.wait(timeout=5, wakeup=reader) == Heard(gap=True)
    assert listener.wait(timeout=5, wakeup=reader) == Heard(gap=True, sure=True)
    add(storage)
    assert listener.wait(timeout=5, wakeup=reader).ready
    listener.close()
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "postgresql://127.0.0.1:1/none"])
def test_a_listener_without_a_server_just_waits(url: str) -> None:
    listener = connect(url).listener(queues=[QUEUE])
    reader, writer = os.pipe()
    for _ in range(2):
        began, spent = time.monotonic(), time.process_time()
        assert not listener.wait(timeout=0.3, wakeup=reader)
        assert time.monotonic() - began >= 0.3
        assert time.process_time() - spent < 0.2
    listener.close()
    os.close(reader)
    os.close(writer)


# -- URLs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://u:pw@h/0?nope=1", "there is no option 'nope'"),
        ("redis://h/0?decode_responses=1", "there is no option 'decode_responses'"),
        ("redis://h/0?ssl_ca_certs=ca.pem", "there is no option 'ssl_ca_certs'"),
        ("unix:///s?socket_keepalive=1", "there is no option 'socket_keepalive'"),
        ("redis://u:pw@h/abc", "'/abc' is no number of a database, as in /0"),
        ("redis://h/0?socket_timeout=x", "Invalid value for 'socket_timeout'"),
        ("unix://tmp/socket", "a socket is unix:///and/its/path"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        RedisStorage(url)
    assert said in str(refused.value)
    assert "pw" not in str(refused.value)
    assert "\n" not in str(refused.value)


class SocketServer(RedisServer):
    """A server that listens on a socket of the file system too."""

    @property
    def socket(self) -> str:
        return f"{self.directory}/s"

    def spawn(self, argv: Any, **options: Any) -> Any:
        return super().spawn([*argv, "--unixsocket", self.socket], **options)


def test_a_server_may_be_reached_by_a_socket(prefix: str) -> None:
    guard = Guard(find_disk())
    server = SocketServer(guard, "memory")
    server.start()
    storage = RedisStorage(f"unix://{server.socket}?db=1&prefix={prefix}")
    assert storage.where == f"unix://{server.socket}"
    listener = storage.listener(queues=[QUEUE])
    reader, writer = os.pipe()
    listener.wait(timeout=0, wakeup=reader)
    (job,) = make(1)
    storage.run(storage.enqueue([job]))
    assert listener.wait(timeout=5, wakeup=reader).ready
    assert record(storage, job.id).state is JobState.READY

    async def found() -> Any:
        answer = await storage.arun(storage.get(job.id))
        await storage.aclose()
        return answer

    assert asyncio.run(found()) == record(storage, job.id)
    guard.close()
    with pytest.raises(StorageUnavailable, match=f"unix://{server.socket} does not answer"):
        storage.run(storage.get(job.id))
    listener.close()
    storage.close()
    os.close(reader)
    os.close(writer)


# -- repeats ---------------------------------------------------------------------------------------------


def test_calls_whose_answer_was_lost_may_be_sent_again(storage: RedisStorage) -> None:
    def twice(op: Any) -> Any:
        assert op.repeatable
        storage.run(op)
        return storage.run(op)

    jobs = [*make(4), keyed(conflict=Conflict.REPLACE)]
    twice(storage.enqueue(jobs))
    assert storage.run(storage.counts(QUEUE))[JobState.READY] == 5
    leases = take(storage, 3)
    twice(storage.cancel([jobs[3].id, leases[1].id], reason=WHY))
    outcomes = [
        Outcome(lease.id, lease.token, kind, WHY)
        for lease, kind in zip(leases, (OutcomeKind.DONE, OutcomeKind.RETRY, OutcomeKind.DEAD), strict=True)
    ]
    assert twice(storage.settle(outcomes, keep=60)) == set()
    assert len(record(storage, leases[2].id).attempts) == 1
    twice(storage.replay([leases[2].id]))
    twice(storage.pause(QUEUE, paused=True))
    twice(storage.pause(QUEUE, paused=False))
    (last,) = storage.run(storage.schedules(QUEUE, ["s"])).schedules
    fired = NewJob(new_ids(QUEUE, 1)[0], QUEUE, "t", b"", unique=Unique("s"))
    eventually(lambda: storage.run(storage.schedules(QUEUE, [])).now >= last.last + 1)
    twice(storage.fire(QUEUE, "s", last=last.last, tick=last.last + 1, job=fired))
    assert [lease.id for lease in take(storage)] == [jobs[4].id, leases[2].id, fired.id]
