"""The dashboard in a real browser with a million jobs in the store. `tests/performance/pages.py` times it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from distq.connect import connect
from distq.postgres import target
from tests.browser import open_browser
from tests.test_dashboard import serving
from tests.world import url_of

FILL = """
INSERT INTO {schema}.job (id, queue, task, payload, state, ready_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'mail', 'shop.send', '{{}}\n{{}}', 'ready', now() - n * interval '1 ms'
FROM generate_series(1, 500000) n;
INSERT INTO {schema}.finished (id, queue, task, payload, state, tries, crashes, body, enqueued_at,
                               finished_at, expires_at)
SELECT ('f' || lpad(to_hex(n), 31, '0'))::uuid, 'mail', 'shop.send', '{{}}\n{{}}',
       (CASE WHEN n % 20 = 0 THEN 'dead' ELSE 'done' END)::{schema}.job_state, 0, 0,
       CASE WHEN n % 20 = 0 THEN '{{"type":"NoRoute","message":"","traceback":""}}' ELSE '42' END::bytea,
       now() - interval '1 hour', now() - n * interval '1 ms',
       CASE WHEN n % 20 > 0 THEN now() + interval '1 day' END
FROM generate_series(1, 500000) n;
"""


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a dashboard over a million jobs; nothing on it may complain."""
    url = url_of(request, "postgres")
    storage = connect(url)
    storage.migrate()
    place = target.parse(url)
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(FILL.format(schema=place.schema).encode())
        connection.execute(f"VACUUM (ANALYZE) {place.schema}.job, {place.schema}.finished".encode())
    with serving(url) as (_, address), open_browser() as browser:
        complaints: list[str] = []
        context = browser.new_context(base_url=address)
        found = context.new_page()
        found.on("console", lambda message: complaints.append(message.text))
        found.on("pageerror", lambda error: complaints.append(str(error)))
        yield found
        assert complaints == []
    storage.close()


def test_the_numbers_of_a_million_jobs_are_on_the_first_page(page: Page) -> None:
    page.goto("/")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="mail"))
    for number in ("500,000", "475,000", "25,000"):
        expect(row).to_contain_text(number)
    expect(page.locator("body")).to_contain_text("no live worker serves it, and 500,000 jobs could run")


@pytest.mark.parametrize("state", ["ready", "done", "dead"])
def test_one_pages_through_the_jobs_of_a_state(page: Page, state: str) -> None:
    page.goto(f"/jobs?queue=mail&state={state}")
    rows = page.locator("tbody tr")
    first = rows.first.inner_text()
    assert rows.count() == 50
    page.get_by_role("link", name="Next page").click()
    expect(rows.first).not_to_have_text(first)
    assert rows.count() == 50
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("shop.send")


def test_the_dead_are_one_group_and_a_confirmation_says_how_many(page: Page) -> None:
    page.goto("/dead")
    group = page.get_by_role("row").filter(has_text="NoRoute")
    expect(group).to_contain_text("or more")
    group.get_by_role("link", name="Replay").click()
    expect(page.locator("#dialog-title")).to_have_text(re.compile(r"Replay more than [\d,]+ dead jobs"))


@pytest.mark.parametrize("path", ["/queues/mail", "/workers", "/cron", "/audit"])
def test_the_other_pages_are_shown(page: Page, path: str) -> None:
    answer = page.goto(path)
    assert answer
    assert answer.ok
    expect(page.get_by_role("heading", level=1)).to_be_visible()
