"""What the service shows of many jobs at once: pages of them, dead letters in groups, schedules."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distq import ConfigurationError, DistQ
from distq.admin import bulk, dead, listing
from distq.admin.crew import Timetable, Vitals
from distq.admin.dead import DeadGroup, dead_letters
from distq.admin.listing import Wanted, browse, locate
from distq.admin.timetable import ScheduleView, schedule_views, switch
from distq.admin.views import moment
from distq.job import Filter, JobState, OutcomeKind, Presence, Unique
from distq.memory.storage import MemoryStorage
from distq.messages import RemoteError, encode_error
from distq.steps import run
from distq.storage import Storage
from tests.contract.steps import QUEUE, WHY, add, make, settle, take
from tests.helpers import eventually
from tests.services import STORES, open_storage


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    yield from open_storage(request, request.param)


def pages(storage: Storage, wanted: Wanted, limit: int) -> list[list[str]]:
    """The ids on each page, from the first to the last."""
    found: list[list[str]] = []
    after = ""
    while True:
        page = run(storage, browse(storage, wanted, after=after, limit=limit))
        found.append([job.id for job in page.jobs])
        if not (after := page.after):
            return found


def die(storage: Storage, count: int, body: bytes = WHY) -> list[str]:
    """Dead jobs, in the order of their end."""
    ids = add(storage, count)
    for lease in take(storage, count):
        settle(storage, [lease], OutcomeKind.DEAD, body=body)
    return ids


def error(type: str, message: str = "") -> bytes:
    return encode_error(RemoteError(type, message, "Traceback …"))


# -- pages of jobs ---------------------------------------------------------------------------------------


def test_pages_go_through_all_states_and_queues_and_repeat_nothing(storage: Storage) -> None:
    dead = die(storage, 5)
    running = add(storage, 3)
    take(storage)
    ready = add(storage, 4)
    other = add(storage, 4, queue="bulk")
    scheduled = add(storage, 2, delay=100)
    found = pages(storage, Wanted(), 4)
    assert [len(page) for page in found] == [4, 4, 4, 4, 2]
    flat = [job_id for page in found for job_id in page]
    assert sorted(flat[:3]) == sorted(running)
    assert flat[3:] == [*other, *ready, *scheduled, *dead[::-1]]


def test_a_last_page_that_is_full_leads_nowhere(storage: Storage) -> None:
    ids = add(storage, 4)
    assert pages(storage, Wanted(), 2) == [ids[:2], ids[2:]]


def test_filters_hold_on_every_page(storage: Storage) -> None:
    mine = [make(task_id, queue="bulk")[0] for task_id in [1] * 6]
    mine = [job._replace(task="app.other" if n % 2 else "app.task") for n, job in enumerate(mine)]
    storage.run(storage.enqueue(mine))
    add(storage, 3)
    wanted = Wanted(queues=["bulk"], states=[JobState.READY], task="app.other")
    assert pages(storage, wanted, 2) == [[mine[1].id, mine[3].id], [mine[5].id]]
    assert pages(storage, Wanted(states=[JobState.DEAD]), 2) == [[]]


def test_the_order_may_be_turned(storage: Storage) -> None:
    ids, dead = add(storage, 3, queue="bulk"), die(storage, 3)
    flat = [*ids[::-1], *dead[::-1]]
    assert pages(storage, Wanted(latest=True), 4) == [flat[:4], flat[4:]]
    assert pages(storage, Wanted(latest=False), 6) == [[*ids, *dead]]


def test_a_page_is_behind_the_last_one_whatever_happened_meanwhile(storage: Storage) -> None:
    dead = die(storage, 6)
    first = run(storage, browse(storage, Wanted(states=[JobState.DEAD]), limit=2))
    storage.run(storage.remove([job.id for job in first.jobs]))
    die(storage, 2)
    second = run(storage, browse(storage, Wanted(states=[JobState.DEAD]), after=first.after, limit=9))
    assert [job.id for job in second.jobs] == dead[3::-1]


def test_by_key_the_job_that_had_it_last_is_found(storage: Storage) -> None:
    (waiting,) = add(storage, unique=Unique("k"))
    (bulk,) = add(storage, unique=Unique("k"), queue="bulk")
    assert pages(storage, Wanted(key="k"), 9) == [[bulk, waiting]]
    assert pages(storage, Wanted(key="k", queues=["bulk"]), 9) == [[bulk]]
    assert pages(storage, Wanted(key="other"), 9) == [[]]
    assert pages(storage, Wanted(key="k", states=[JobState.DEAD]), 9) == [[]]
    assert pages(storage, Wanted(key="k", task="app.other"), 9) == [[]]
    assert pages(storage, Wanted(key="k", newer=100), 9) == [[bulk, waiting]]
    assert pages(storage, Wanted(key="k", older=100), 9) == [[]]


def test_an_id_is_found_whole_or_by_its_digits_in_either_case(storage: Storage) -> None:
    (mail,), (bulk,) = add(storage), add(storage, queue="Bulk")
    for job_id in (mail, bulk):
        queue, digits = job_id.split(":")
        for text in (job_id, digits, digits.upper(), f"{queue}:{digits.upper()}"):
            assert run(storage, locate(storage, text)) == job_id
    for text in (
        "",
        "k",
        bulk.lower(),
        f"{QUEUE}:{bulk[-32:]}",
        mail[:-1],
        mail[-31:],
        f":{mail[-32:]}",
        "0" * 32,
    ):
        assert run(storage, locate(storage, text)) is None


def test_what_a_job_carries_bounds_a_page(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BYTES", 50_000)
    monkeypatch.setattr(listing, "CHUNK", 2)
    ids = add(storage, 9, payload=b"{}\n" + b"1" * 20_000)
    assert pages(storage, Wanted(), 9) == [ids[:4], ids[4:8], ids[8:]]


def test_large_jobs_are_counted_a_few_at_once(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "FEW", 2)
    monkeypatch.setattr(bulk, "BYTES", 5_000)
    add(storage, 20, payload=b"x" * 1_000)
    add(storage, 20, queue="small", payload=b"x")
    asked: list[int] = []

    def find(filter: Filter, *, limit: int, **options: Any) -> Any:
        asked.append(limit)
        return plain(filter, limit=limit, **options)

    plain = storage.find
    monkeypatch.setattr(storage, "find", find)
    counted = [Filter(QUEUE, JobState.READY, newer=3600.0)]
    assert run(storage, bulk.count(storage, counted, most=19)) == 19
    assert max(asked) == 5
    asked.clear()
    small = [Filter("small", JobState.READY, newer=3600.0)]
    assert run(storage, bulk.count(storage, small, most=100)) == 20
    assert asked == [2, 98]


def test_a_page_takes_so_many_searches_and_no_more(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LOOKS", 3)
    for number in range(4):
        add(storage, queue=f"q{number}")
    found = pages(storage, Wanted(states=[JobState.DEAD, JobState.READY]), 50)
    assert [len(page) for page in found] == [3, 1, 0]


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "é",
        "AAAA",
        "\0",
        "=",
        base64.urlsafe_b64encode(b"0" * 12 + b'["dead","mail",""]').decode(),
        listing._Place(JobState.DEAD, 5, "x").seal(b""),  # pyright: ignore[reportArgumentType]
        listing._Place(JobState.DEAD, "mail", {}).seal(b""),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_leads_to_no_page_is_one_line(after: str) -> None:
    storage = MemoryStorage()
    with pytest.raises(ConfigurationError, match="leads to no page"):
        run(storage, browse(storage, Wanted(), after=after))


def test_a_cursor_is_of_no_use_with_another_secret() -> None:
    storage = MemoryStorage()
    add(storage, 3)
    after = run(storage, browse(storage, Wanted(), limit=1, secret=b"a")).after
    assert run(storage, browse(storage, Wanted(), after=after, secret=b"a")).jobs
    with pytest.raises(ConfigurationError):
        run(storage, browse(storage, Wanted(), after=after, secret=b"b"))


def test_what_cannot_name_a_queue_is_refused() -> None:
    storage = MemoryStorage()
    with pytest.raises(ConfigurationError, match="cannot name a queue"):
        run(storage, browse(storage, Wanted(queues=["a b"])))


# -- dead letters ----------------------------------------------------------------------------------------


def test_dead_letters_are_grouped_by_queue_task_and_error(storage: Storage) -> None:
    for message in ("no route\nto host", "refused", "refused", "reset", "gone"):
        die(storage, 1, error("ConnectionError", message))
    die(storage, 2, error("ValueError"))
    found = run(storage, dead_letters(storage))
    assert found.partial == []
    assert [(group.queue, group.task, group.type, group.number) for group in found.groups] == [
        (QUEUE, "app.task", "ConnectionError", 5),
        (QUEUE, "app.task", "ValueError", 2),
    ]
    assert found.groups[0].messages == ["gone", "reset", "refused"]
    assert found.groups[1].messages == []
    assert abs(found.groups[0].latest - datetime.now(UTC)) < timedelta(seconds=30)


def test_what_dead_jobs_carry_is_not_kept_while_they_are_looked_at(storage: Storage) -> None:
    add(storage, 3, payload=b"x" * 100_000)
    settle(storage, take(storage, 3), OutcomeKind.DEAD, body=WHY)
    look = run(storage, dead._latest(storage, [QUEUE]))[QUEUE]
    assert [job.payload for job in look.jobs] == [b""] * 3
    assert look.size >= 300_000


def test_a_groups_text_finds_exactly_its_jobs(storage: Storage) -> None:
    plain = die(storage, 2, error("KeyError", "'a'"))
    longer = die(storage, 1, error("KeyError2", "'a'"))
    quoting = die(storage, 1, error("ValueError", '{"type":"KeyError","message":""}'))
    odd = die(storage, 1, error('<b>"\\é\n', "x"))
    groups = {group.type: group for group in run(storage, dead_letters(storage)).groups}
    assert set(groups) == {"KeyError", "KeyError2", "ValueError", '<b>"\\é\n'}
    expected = {"KeyError": plain, "KeyError2": longer, "ValueError": quoting, '<b>"\\é\n': odd}
    for type, ids in expected.items():
        assert sorted(found_by(storage, groups[type])) == sorted(ids)


def found_by(storage: Storage, group: DeadGroup) -> list[str]:
    assert group.text
    filter = Filter(group.queue, JobState.DEAD, task=group.task, text=group.text)
    return [job.id for job in storage.run(storage.find(filter, limit=100)).jobs]


def test_an_error_that_is_none_of_distqs_has_no_text(storage: Storage) -> None:
    die(storage, 1, b"not json")
    die(storage, 1, b"")
    groups = run(storage, dead_letters(storage)).groups
    assert all(group.type == "Unknown" and group.text is None for group in groups)
    assert sum(group.number for group in groups) == 2


def test_of_many_dead_jobs_the_latest_are_looked_at(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distq.admin.dead.SAMPLE", 3)
    die(storage, 2, error("Old"))
    die(storage, 3, error("New"))
    add(storage, queue="bulk")
    found = run(storage, dead_letters(storage))
    assert [(group.type, group.number) for group in found.groups] == [("New", 3)]
    assert found.partial == [QUEUE]


def test_queues_without_dead_jobs_leave_their_part_to_the_others(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distq.admin.dead.MOST", 120)
    die(storage, 30, error("Old"))
    die(storage, 60, error("New"))
    for number in range(5):
        add(storage, queue=f"calm-{number}")
    found = run(storage, dead_letters(storage))
    assert [(group.type, group.number) for group in found.groups] == [("New", 60), ("Old", 30)]
    assert found.partial == []


# -- schedules -------------------------------------------------------------------------------------------


def app_on(storage: Storage) -> DistQ:
    app = DistQ("memory://")
    app.move(storage)

    @app.cron("30 4 * * *", tz="Europe/Berlin")
    @app.task(name="report", queue="reports")
    def report() -> None: ...

    return app


def announce(storage: Storage, *tables: Timetable) -> None:
    presence = Presence("w1", "here", 1, ("reports",), ("report",), vitals=Vitals(crons=tables).encode())
    storage.run(storage.announce(presence))


TABLE = Timetable(queue="reports", name="report", task="report", expression="0 12 * * *", tz="UTC")


def only(found: list[ScheduleView]) -> ScheduleView:
    (schedule,) = found
    return schedule


def test_a_schedule_is_as_a_live_worker_says(storage: Storage) -> None:
    announce(storage, TABLE)
    storage.run(storage.schedules("reports", ["report"]))
    schedule = only(run(storage, schedule_views(storage)))
    assert (schedule.task, schedule.expression, schedule.tz) == ("report", "0 12 * * *", "UTC")
    now = datetime.now(UTC)
    assert schedule.next
    assert now < schedule.next <= now + timedelta(days=1, seconds=30)
    assert (schedule.next.hour, schedule.next.minute) == (12, 0)


def test_what_was_last_fired_is_a_tick_and_not_when_a_schedule_was_made_known(storage: Storage) -> None:
    (known,) = storage.run(storage.schedules("reports", ["report"])).schedules
    tick = known.last + 1
    announce(storage, TABLE.model_copy(update={"expression": f"{tick % 60} * * * * *"}))
    schedule = only(run(storage, schedule_views(storage)))
    assert (schedule.last, schedule.since) == (None, moment(known.last))
    eventually(lambda: storage.run(storage.schedules("reports", ())).now >= tick)
    assert storage.run(storage.fire("reports", "report", last=known.last, tick=tick, job=None))
    schedule = only(run(storage, schedule_views(storage)))
    assert (schedule.last, schedule.since) == (moment(tick), moment(tick))


def test_a_schedule_that_nobody_declares_has_no_next_tick(storage: Storage) -> None:
    storage.run(storage.schedules("reports", ["old"]))
    add(storage, queue="reports")
    schedule = only(run(storage, schedule_views(storage)))
    assert (schedule.name, schedule.task, schedule.next) == ("old", None, None)
    assert schedule.since
    assert schedule.last is None


def test_what_the_application_declares_is_there_before_any_worker(storage: Storage) -> None:
    app = app_on(storage)
    schedule = only(run(storage, schedule_views(storage, app)))
    assert (schedule.queue, schedule.name, schedule.last, schedule.tz) == (
        *("reports", "report", None),
        "Europe/Berlin",
    )
    assert schedule.next == datetime.fromtimestamp(
        app.crons["report"].next(datetime.now().timestamp()) or 0, UTC
    )


def test_switching_a_schedule(storage: Storage) -> None:
    app = app_on(storage)
    assert run(storage, switch(storage, "reports", "report", paused=True, app=app))
    paused = only(run(storage, schedule_views(storage, app)))
    assert (paused.paused, paused.next) == (True, None)
    assert run(storage, switch(storage, "reports", "report", paused=False))
    assert only(run(storage, schedule_views(storage, app))).next
    assert not run(storage, switch(storage, "reports", "other", paused=True, app=app))
    assert not run(storage, switch(storage, "mail", "report", paused=True, app=app))


@pytest.mark.parametrize(("expression", "tz"), [("every day", "UTC"), ("0 0 * * *", "Mars/Base")])
def test_what_this_version_cannot_read_has_no_next_tick(expression: str, tz: str) -> None:
    storage = MemoryStorage()
    announce(storage, TABLE.model_copy(update={"expression": expression, "tz": tz}))
    assert only(run(storage, schedule_views(storage))).next is None
