"""The dashboard in a real browser: `distq serve` over a PostgreSQL in which real workers run jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from distq.admin.crew import Activity, Timetable, Vitals
from distq.connect import connect
from distq.ids import new_ids
from distq.job import JobState, NewJob, Outcome, OutcomeKind, Presence, Unique
from distq.messages import RemoteError, encode_error
from distq.storage import Storage
from tests import worker_app
from tests.browser import open_browser
from tests.contract.steps import QUEUE, add
from tests.frozen import freezer
from tests.helpers import eventually
from tests.services import OPERATE, READ
from tests.world import World, end, open_world, url_of

ASSETS = Path(__file__).parent / "assets"
HOSTILE = '<script>window.owned = 1</script><img src=x onerror="window.owned = 1">'
LOST = "NoRoute"
DEAD = 1204
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REPORT = """<!doctype html><html lang="en"><title>run</title><p id="said">not yet</p>
<script>document.getElementById("said").textContent = "drawn " + (window.origin === "null")</script></html>"""


expect.set_options(timeout=20_000)


@dataclass
class Site:
    """A deployment, and where its dashboards are: one for all of this machine, one that asks for tokens."""

    world: World
    open: str
    closed: str
    hostile: str
    """A job that carries what would like to be obeyed."""

    @property
    def storage(self) -> Storage:
        return self.world.app.storage

    def enqueue(self, queue: str, count: int, *, task: str = "add", **fields: Any) -> list[str]:
        jobs = [NewJob(job_id, queue, task, b"{}\n{}", **fields) for job_id in new_ids(queue, count)]
        return [entry.id for entry in self.storage.run(self.storage.enqueue(jobs))]

    def settle(self, queue: str, kind: OutcomeKind, body: bytes) -> None:
        """End all that is ready."""
        while leases := self.storage.run(
            self.storage.lease(queue, worker="by-hand", limit=500, ttl=60, alone=False)
        ):
            outcomes = [Outcome(lease.id, lease.token, kind, body) for lease in leases]
            self.storage.run(self.storage.settle(outcomes, keep=3600))

    def die(self, queue: str, count: int, error: str = LOST, message: str = "no route to host") -> list[str]:
        ids = self.enqueue(queue, count)
        self.settle(queue, OutcomeKind.DEAD, encode_error(RemoteError(error, message, "Traceback: there")))
        return ids

    def count(self, queue: str, state: JobState) -> int:
        return self.storage.run(self.storage.counts(queue)).get(state, 0)


# -- the deployment --------------------------------------------------------------------------------------


@contextmanager
def serving(url: str, *options: str, tokens: Mapping[str, str] | None = None) -> Iterator[tuple[Any, str]]:
    """A `distq serve` process, and its address."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DISTQ_")}
    words = [sys.executable, "-m", "distq", "serve", "--url", url, *options]
    environment |= dict(tokens or {})
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = re.search(r"http://\S+", process.stdout.readline())
            assert said
            yield process, said[0]
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def announced(storage: Storage, presence: Presence) -> Iterator[None]:
    """A worker process that says again and again how it is."""
    over = threading.Event()

    def announce() -> None:
        while not over.wait(1):
            storage.run(storage.announce(presence))

    storage.run(storage.announce(presence))
    thread = threading.Thread(target=announce)
    thread.start()
    yield
    over.set()
    thread.join()


def fill(site: Site) -> None:
    """Queues in every state that a page shows."""
    site.die("mass", DEAD)
    site.enqueue("idle", 120)
    site.enqueue("still", 30)
    site.storage.run(site.storage.pause("still", paused=True))
    site.hostile = new_ids("hostile", 1)[0]
    arguments = b'{"trace":{"traceparent":"00-%b-00f067aa0ba902b7-01"}}\n{"html":"</pre>%b"}' % (
        TRACE.encode(),
        HOSTILE.replace('"', '\\"').encode(),
    )
    job = NewJob(site.hostile, "hostile", HOSTILE, arguments, unique=Unique(HOSTILE))
    site.storage.run(site.storage.enqueue([job]))
    site.settle("hostile", OutcomeKind.DEAD, encode_error(RemoteError(HOSTILE, HOSTILE, HOSTILE)))


def crew(site: Site) -> Presence:
    """A worker of which nothing is as it should be."""
    vitals = Vitals(
        memory=87 * 2**20,
        concurrency=8,
        held=3,
        renewed=45.0,
        running=(Activity(id=site.hostile, task=HOSTILE, ran=90.0),),
        crons=(Timetable(queue="mass", name=HOSTILE, task=HOSTILE, expression="30 4 * * *", tz="UTC"),),
    )
    return Presence(HOSTILE, HOSTILE, 42, ("mass", "hostile"), (HOSTILE, "add"), vitals=vitals.encode())


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url, directory = url_of(request, "postgres"), tmp_path_factory.mktemp("dashboard")
    (directory / "results" / "a-run").mkdir(parents=True)
    (directory / "results" / "a-run" / "report.html").write_text(REPORT)
    options = ["--port", "0", "--results", str(directory / "results")]
    options += ["--trace-url", "https://traces.example/{trace_id}"]
    tokens = {"DISTQ_TOKEN": OPERATE, "DISTQ_READ_TOKEN": READ}
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        opened = open_world(worker_app.app, "tests.worker_app", url, directory / "notes", patch)
        (directory / "notes").touch()
        site = Site(stack.enter_context(opened), "", "", "")
        pool = site.world.start("-p", "1", "-c", "3", "--ttl", "3")
        stack.callback(end, pool)
        fill(site)
        stack.enter_context(announced(site.storage, crew(site)))
        site.open = stack.enter_context(serving(url, *options))[1]
        site.closed = stack.enter_context(serving(url, *options, tokens=tokens))[1]
        yield site


# -- the browser -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


class Visit:
    """Opens pages of a dashboard as one person, and remembers what the pages complain of."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.context: BrowserContext = browser.new_context(base_url=address, **options)
        self.context.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.asked: list[str] = []

    def __call__(self, path: str) -> Page:
        tab = self.context.new_page()
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.goto(path)
        return tab

    def end(self) -> None:
        self.context.close()
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith(self.address)] == []


Visitor = Callable[..., Visit]


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    """Makes persons. No page that one opens may complain, or ask another server."""
    visits: list[Visit] = []

    def make(address: str = site.open, **options: Any) -> Visit:
        visits.append(Visit(browser, address, **options))
        return visits[-1]

    yield make
    for visit in visits:
        visit.end()


def log_in(visit: Visit, token: str) -> Page:
    tab = visit("/login")
    tab.get_by_label("Token").fill(token)
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url(f"{visit.address}/")
    return tab


def hindrances(tab: Page) -> list[Any]:
    """What axe finds that keeps people from using a page: which rule, and where."""
    if not tab.evaluate("'axe' in window"):
        tab.evaluate((ASSETS / "axe.min.js").read_text())
    found = tab.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    bad = [each for each in found if each["impact"] in ("serious", "critical")]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in bad]


def row(tab: Page, queue: str) -> Locator:
    return tab.locator(f"#q-{queue}")


# -- every page ------------------------------------------------------------------------------------------


PAGES: dict[str, Callable[[Site], str]] = {
    "queues": lambda _: "/",
    "queue": lambda _: "/queues/mass",
    "workers": lambda _: "/workers",
    "jobs": lambda _: "/jobs",
    "found": lambda _: f"/jobs?queue=mass&state=dead&state=done&text={LOST}&newer=1h",
    "job": lambda site: f"/jobs/{site.hostile}",
    "dead": lambda _: "/dead",
    "cron": lambda _: "/cron",
    "runs": lambda _: "/runs",
    "audit": lambda _: "/audit",
    "confirm": lambda _: "/bulk?action=purge&queue=mass&state=dead",
}

SHOWN = {
    "queues": ["Queue idle: no live worker serves it, and 120 jobs could run.", "Queue still is paused"],
    "queue": ["Queue mass", f"{DEAD:,} jobs are dead", HOSTILE],
    "workers": [HOSTILE, "87 MiB", "1 of 8", "process 42"],
    "jobs": ["idle:…", "add", "ready", "Next page"],
    "found": [f"{LOST}: no route to host", "Next page"],
    "job": [HOSTILE, "It is dead", "Timeline", "failed for good", "Replay", "See its trace"],
    "dead": [LOST, HOSTILE, "no route to host", "Replay…"],
    "cron": [HOSTILE, "30 4 * * *", "UTC", "in "],
    "runs": ["a-run"],
    "audit": ["Audit"],
    "confirm": [f"Purge {DEAD:,} dead jobs of queue mass?"],
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_is_there_and_fits_a_phone(site: Site, visitor: Visitor, page: str) -> None:
    tab = visitor()(PAGES[page](site))
    for details in tab.locator("details").all():
        details.evaluate("details => details.open = true")
    shown = tab.inner_text("body")
    for words in SHOWN[page]:
        assert words in shown
    # What others wrote is shown, and not obeyed.
    assert tab.evaluate("window.owned") is None
    assert tab.locator("main script, main img, [style]:not(.uplot, .uplot *)").count() == 0
    for width in (1130, 800, 360):
        tab.set_viewport_size({"width": width, "height": 780})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_a_long_wait_fits_a_phone(visitor: Visitor) -> None:
    tab = visitor()("/")
    tab.set_viewport_size({"width": 360, "height": 780})
    wait = "cell => { cell.textContent = '23 h 59 min'; return cell.scrollWidth - cell.clientWidth; }"
    cells = tab.locator('[data-label="Oldest ready"]')
    expect(cells.first).to_be_visible()
    assert set(cells.evaluate_all(f"cells => cells.map({wait})")) == {0}


@pytest.mark.parametrize("page", PAGES)
def test_everybody_can_read_a_page_by_day_and_by_night(site: Site, visitor: Visitor, page: str) -> None:
    tab = visitor(color_scheme="light")(PAGES[page](site))
    ground = "getComputedStyle(document.body).backgroundColor"
    assert (tab.evaluate(ground), hindrances(tab)) == ("rgb(255, 255, 255)", [])
    tab.emulate_media(color_scheme="dark")
    assert (tab.evaluate(ground), hindrances(tab)) == ("rgb(20, 23, 26)", [])


def test_a_page_prints_what_it_says_and_not_its_buttons(visitor: Visitor) -> None:
    tab = visitor()("/")
    tab.emulate_media(media="print")
    assert tab.locator("#troubles h2").first.is_visible()
    assert not any(button.is_visible() for button in tab.locator("button, .button").all())
    assert not tab.locator("nav").first.is_visible()


def test_without_scripts_it_works_as_well(site: Site, visitor: Visitor) -> None:
    site.die("plain", 3)
    tab = visitor(java_script_enabled=False)("/queues/plain")
    tab.get_by_role("link", name="Replay dead…").click()
    expect(tab.locator("h1")).to_have_text("Replay 3 dead jobs of queue plain?")
    tab.get_by_role("button", name="Replay 3 jobs").click()
    assert "3 jobs are ready again." in tab.inner_text(".note")
    assert site.count("plain", JobState.READY) == 3


# -- live ------------------------------------------------------------------------------------------------


def test_numbers_change_by_themselves_and_keep_the_focus(site: Site, visitor: Visitor) -> None:
    tab = visitor()("/")
    expect(tab.locator("#pulse")).to_have_text("live")
    tab.evaluate("window.mark = 1")
    tab.get_by_role("button", name="Pause queue idle").focus()
    ready = row(tab, "idle").locator("[data-label=Ready]")
    expect(ready).to_have_text("120")
    site.enqueue("idle", 5)
    expect(ready).to_have_text("125")
    site.enqueue("fresh", 2)
    expect(row(tab, "fresh").locator("[data-label=Ready]")).to_have_text("2")
    assert tab.evaluate("document.activeElement.id") == "b-idle"
    expect(row(tab, "idle").locator("svg polyline").first).to_be_visible()
    assert tab.evaluate("window.mark") == 1


def test_a_queues_charts_are_drawn_and_go_on(visitor: Visitor) -> None:
    tab = visitor()("/queues/idle")
    expect(tab.locator("#charts canvas")).to_have_count(2)
    drawn = "[...document.querySelectorAll('canvas')].map(c => c.toDataURL().length)"
    first = tab.evaluate(drawn)
    eventually(lambda: tab.evaluate(drawn) != first)
    expect(tab.locator("#charts .u-legend").last).to_contain_text("1")


def test_a_running_job_is_followed_to_its_end(site: Site, visitor: Visitor) -> None:
    job_id = worker_app.resize.enqueue("until-told").id
    visit = visitor()
    tab = visit(f"/jobs/{job_id}")
    expect(tab.locator("progress")).to_have_attribute("value", "0.4")
    expect(tab.locator("#state")).to_contain_text("resizing")
    workers = visit("/workers")
    expect(workers.locator("#workers")).to_contain_text("resize")
    with site.world.notes.open("a") as notes:
        notes.write("until-told\n")
    expect(tab.locator(".why")).to_contain_text("It is scheduled for try 2")
    expect(tab.locator(".timeline")).to_contain_text("failed, will retry")
    tab.locator("summary").click()
    expect(tab.locator("details pre")).to_contain_text("ValueError: always")
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.locator(".why")).to_contain_text("It is cancelled")
    expect(tab.locator(".note")).to_have_text("1 job is cancelled.")


def test_a_stream_holds_up_no_end_and_comes_back(site: Site, browser: Browser) -> None:
    url = site.world.app.storage.where
    visit = None
    with serving(os.environ["DISTQ_TEST_URL"], "--port", "0") as (first, address):
        visit = Visit(browser, address)
        tab = visit("/")
        expect(tab.locator("#pulse")).to_have_text("live")
        first.send_signal(signal.SIGTERM)
        assert first.wait(3) == 0
        expect(tab.locator("#pulse")).to_contain_text("not live since")
    with serving(os.environ["DISTQ_TEST_URL"], "--port", address.rpartition(":")[2]):
        expect(tab.locator("#pulse")).to_have_text("live")
        site.enqueue("again", 7)
        expect(row(tab, "again").locator("[data-label=Ready]")).to_have_text("7")
    assert url in tab.inner_text(".where")
    visit.context.close()


def test_an_open_page_says_that_the_storage_is_silent_and_when_it_is_back(browser: Browser) -> None:
    with freezer("postgres") as server:
        storage = connect(server.url)
        storage.migrate()
        add(storage, 9)
        with serving(server.url, "--port", "0") as (_, address):
            visit = Visit(browser, address)
            tab = visit("/")
            expect(row(tab, QUEUE).locator("[data-label=Ready]")).to_have_text("9")
            server.freeze()
            away = tab.locator("#away")
            expect(away).to_contain_text("The storage does not answer.")
            expect(away).to_contain_text("What is shown is from")
            expect(row(tab, QUEUE).locator("[data-label=Ready]")).to_have_text("9")
            answer = tab.reload()
            assert answer
            assert answer.ok
            server.thaw()
            expect(away).to_have_count(0)
            add(storage, 1)
            expect(row(tab, QUEUE).locator("[data-label=Ready]")).to_have_text("10")
            visit.end()
        storage.close()


def test_a_page_that_nobody_sees_asks_for_nothing(visitor: Visitor) -> None:
    visit = visitor()
    tab = visit("/")
    expect(tab.locator("#pulse")).to_have_text("live")
    hide = "h => { Object.defineProperty(document, 'hidden', {value: h, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')) }"
    with tab.expect_event("requestfailed", lambda request: "/live/" in request.url):
        tab.evaluate(hide, True)
    before = len(visit.asked)
    tab.evaluate(hide, False)
    eventually(lambda: tab.evaluate("1") and len(visit.asked) == before + 1)
    assert visit.asked[-1].endswith("/live/queues")


# -- steering --------------------------------------------------------------------------------------------


def test_a_paused_queue_is_resumed_from_what_is_wrong(site: Site, visitor: Visitor) -> None:
    tab = visitor()("/")
    trouble = tab.locator(".trouble", has_text="Queue still is paused, and 30 jobs could run.")
    trouble.get_by_role("button", name="Resume still").click()
    expect(row(tab, "still").get_by_role("button")).to_have_text("Pause")
    expect(trouble).to_have_count(0)
    assert site.storage.run(site.storage.queues())["still"] is False
    row(tab, "still").get_by_role("button").click()
    expect(row(tab, "still").locator(".tag")).to_have_text("paused")
    assert site.storage.run(site.storage.queues())["still"] is True
    tab.goto("/audit")
    assert tab.locator("tbody tr").first.inner_text().split("\t")[1:] == [
        "operate@127.0.0.1",
        "pause",
        "queue still",
        "done",
    ]


def test_many_dead_jobs_are_replayed_after_it_was_said_how_many(site: Site, visitor: Visitor) -> None:
    site.die("bulk", DEAD)
    site.die("bulk", 2, error="Other")
    tab = visitor()("/dead?queue=bulk")
    tab.get_by_role("link", name=f"Replay {LOST} of add…").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog.locator("h1")).to_contain_text(f"Replay {DEAD:,} dead jobs of queue bulk of task add")
    dialog.get_by_role("link", name="Leave as it is").click()
    expect(dialog).to_be_hidden()
    assert site.count("bulk", JobState.DEAD) == DEAD + 2
    tab.get_by_role("link", name=f"Replay {LOST} of add…").click()
    dialog.get_by_role("button", name=f"Replay {DEAD:,} jobs").click()
    expect(tab.locator(".note")).to_have_text(f"{DEAD:,} jobs are ready again.")
    assert site.count("bulk", JobState.READY) == DEAD
    assert site.count("bulk", JobState.DEAD) == 2


def test_ticked_jobs_are_purged_and_no_others(site: Site, visitor: Visitor) -> None:
    ids = site.die("ticks", 5)
    tab = visitor()("/jobs?queue=ticks")
    for job_id in ids[:2]:
        tab.get_by_label(f"Tick {job_id}").check()
    tab.get_by_role("button", name="Purge…").click()
    dialog = tab.get_by_role("dialog")
    expect(dialog.locator("h1")).to_have_text("Purge 2 ticked jobs?")
    dialog.get_by_role("button", name="Purge 2 jobs").click()
    expect(tab.locator(".note")).to_have_text("2 jobs are forgotten.")
    assert [site.storage.run(site.storage.get(job_id)) is None for job_id in ids] == [True] * 2 + [False] * 3


def test_a_schedule_is_switched(site: Site, visitor: Visitor) -> None:
    tab = visitor()("/cron")
    tab.get_by_role("button", name="Pause schedule").click()
    expect(tab.locator("tbody .tag")).to_have_text("paused")
    assert [each.paused for each in site.storage.run(site.storage.schedules("mass", ())).schedules] == [True]
    tab.get_by_role("button", name="Resume schedule").click()
    expect(tab.locator("tbody .tag")).to_have_count(0)


def test_a_report_is_shown_where_it_can_reach_nothing(visitor: Visitor) -> None:
    tab = visitor()("/runs")
    tab.get_by_role("link", name="a-run").click()
    expect(tab.locator("#said")).to_have_text("drawn true")


# -- searching -------------------------------------------------------------------------------------------


def test_pages_of_a_search_lead_on_and_back_and_repeat_nothing(site: Site, visitor: Visitor) -> None:
    tab = visitor()("/jobs")
    tab.get_by_label("Queue").select_option("mass")
    tab.get_by_label("dead", exact=True).check()
    tab.get_by_label("Error contains").fill("no route")
    with tab.expect_navigation():
        tab.get_by_role("button", name="Search").click()
    first = tab.url
    ids = "[...document.querySelectorAll('tbody input')].map(box => box.value)"
    seen = [tab.evaluate(ids)]
    for _ in range(2):
        with tab.expect_navigation():
            tab.get_by_role("link", name="Next page").click()
        seen.append(tab.evaluate(ids))
        assert tab.get_by_label("Error contains").input_value() == "no route"
    assert len({job_id for page in seen for job_id in page}) == sum(map(len, seen)) == 150
    tab.go_back()
    assert tab.evaluate(ids) == seen[1]
    tab.go_back()
    assert (tab.url, tab.evaluate(ids)) == (first, seen[0])


def test_an_id_and_a_key_lead_to_their_job(site: Site, visitor: Visitor) -> None:
    (keyed,) = site.enqueue("keys", 1, unique=Unique("order 7"))
    tab = visitor()("/jobs")
    tab.get_by_label("Id or key").fill(f" {keyed} ")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/jobs/{keyed}")
    tab.goto("/jobs")
    tab.get_by_label("Id or key").fill("order 7")
    tab.keyboard.press("Enter")
    expect(tab.locator("tbody tr")).to_have_count(1)
    expect(tab.locator("tbody tr")).to_contain_text("order 7")


# -- by keyboard -----------------------------------------------------------------------------------------


def test_it_can_be_used_by_keyboard(site: Site, visitor: Visitor) -> None:
    site.die("keyboard", 2)
    tab = visitor()("/queues/keyboard")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "To the content"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('main') !== null")
    link = tab.get_by_role("link", name="Replay dead…")
    for _ in range(30):
        if link.evaluate("link => link === document.activeElement"):
            break
        tab.keyboard.press("Tab")
    assert link.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Replay 2 jobs")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(link).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Replay 2 jobs")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.locator(".note")).to_have_text("2 jobs are ready again.")


# -- who may ---------------------------------------------------------------------------------------------


def test_who_is_not_known_logs_in_and_comes_to_what_was_asked_for(site: Site, browser: Browser) -> None:
    visit = Visit(browser, site.closed)
    tab = visit("/jobs?queue=mass&state=dead")
    assert tab.url.startswith(f"{site.closed}/login?next=")
    tab.get_by_label("Token").fill("not a token at all")
    tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("alert")).to_contain_text("not one of this service's")
    assert hindrances(tab) == []
    tab.get_by_label("Token").fill(OPERATE)
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url("**/jobs?queue=mass&state=dead")
    tab.get_by_role("button", name="Log out").click()
    expect(tab.get_by_label("Token")).to_be_visible()
    tab.goto("/workers")
    assert "/login" in tab.url
    visit.context.close()


def test_who_comes_by_a_link_of_another_site_need_not_log_in_again(site: Site, browser: Browser) -> None:
    visit = Visit(browser, site.closed)
    tab = log_in(visit, OPERATE)
    tab.goto(f"{site.open.replace('127.0.0.1', 'localhost')}/audit")
    tab.evaluate("url => { location.href = url }", f"{site.closed}/workers")
    tab.wait_for_url(f"{site.closed}/workers")
    expect(tab.locator("h1")).to_have_text("Workers")
    visit.context.close()


def test_a_page_whose_session_has_ended_leads_to_the_login(site: Site, browser: Browser) -> None:
    url, tokens = os.environ["DISTQ_TEST_URL"], {"DISTQ_TOKEN": OPERATE}
    with serving(url, "--port", "0", tokens=tokens) as (_, address):
        visit = Visit(browser, address)
        tab = log_in(visit, OPERATE)
        expect(tab.locator("#pulse")).to_have_text("live")
    with serving(url, "--port", address.rpartition(":")[2], tokens={"DISTQ_TOKEN": "another-0123456789"}):
        tab.wait_for_url("**/login")
    visit.context.close()


def test_a_reader_sees_no_payload_and_steers_nothing(site: Site, visitor: Visitor) -> None:
    visit = visitor(site.closed)
    log_in(visit, READ)
    for page in PAGES:
        if page not in ("found", "confirm"):
            tab = visit(PAGES[page](site))
            assert set(tab.locator("main button").all_inner_texts()) <= {"Copy", "Search"}
            assert "no route to host" not in tab.inner_text("main")
    tab = visit(f"/jobs/{site.hostile}")
    shown = tab.inner_text("main")
    assert "hidden from readers" in shown
    assert "</pre>" not in tab.inner_text("main")
    assert TRACE not in tab.content()


def test_an_operator_who_logged_in_steers(site: Site, visitor: Visitor) -> None:
    site.enqueue("steered", 1)
    tab = log_in(visitor(site.closed), OPERATE)
    row(tab, "steered").get_by_role("button").click()
    expect(row(tab, "steered").locator(".tag")).to_have_text("paused")
