from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from scenarios import page, report
from scenarios.look import colour
from scenarios.page import shades
from tests import chapters
from tests.browser import open_browser
from tests.helpers import eventually

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = [
    *("What was asked", "The answer", "The table", "Scenario: burst", "Scenario: steady"),
    *("Scenario: sweep-workers", "Scenario: capacity", "Scenario: capacity-curve", "Scenario: churn"),
    *("Scenario: sensitivity", "What the promise costs", "Promises", "What is not equal"),
    *("Were the checkers tested?", "Cost of a million jobs", "The manifest", "To repeat it"),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder, with its page."""
    directory = chapters.write_run(tmp_path_factory.mktemp("results") / chapters.RUN_ID)
    assert page.write(report.load(directory)) == directory / page.NAME
    return directory


@pytest.fixture(scope="module")
def text(directory: Path) -> str:
    return (directory / page.NAME).read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


class Visit:
    """Opens pages in a browser, and remembers what they complain of and what they ask for."""

    def __init__(self, browser: Browser, directory: Path) -> None:
        self._browser, self._directory = browser, directory
        self.tabs: list[Page] = []
        self.complaints: list[str] = []
        self.asked: list[str] = []

    def __call__(self, path: Path | None = None, **options: Any) -> Page:
        tab = self._browser.new_page(**options)
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.goto(((path or self._directory) / page.NAME).as_uri())
        self.tabs.append(tab)
        return tab

    def end(self) -> None:
        for tab in self.tabs:
            tab.close()
        assert self.complaints == []
        assert {url.partition(":")[0] for url in self.asked} <= {"file", "data"}


@pytest.fixture
def show(directory: Path, browser: Browser) -> Iterator[Visit]:
    """Opens the page; nothing may complain or ask the network meanwhile."""
    visit = Visit(browser, directory)
    yield visit
    visit.end()


@pytest.fixture(scope="module")
def tab(directory: Path, browser: Browser) -> Iterator[Page]:
    """The page as it is opened, for tests that only read."""
    visit = Visit(browser, directory)
    yield visit()
    visit.end()


class References(HTMLParser):
    """Collects what a page refers to, and how often each tag is there."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = ("src", "srcset", "href", "xlink:href", "action", "data", "poster")
        self.found += [value or "" for name, value in attrs if name in named]


AGAIN = """
import sys
from dataclasses import replace
from scenarios import folder, page
run = folder.load(sys.argv[1])
cut = replace(run, summary=run.summary.loc[run.summary["scenario"] == "churn"])
print(page.render(cut), end="")
"""


def test_another_process_renders_the_same_bytes(directory: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONHASHSEED": "4", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "ignore", "-c", AGAIN, directory]
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    rendered(report.load(directory), tmp_path, scenario="churn")
    assert again.stdout == (tmp_path / page.NAME).read_text()


def test_a_page_holds_all_that_it_shows(text: str) -> None:
    references = References(text)
    assert [each for each in references.found if not each.startswith(("#", "data:,"))] == []
    assert re.findall(r"@import|url\((?!#)", text) == []
    assert references.tags.count("script") == 1
    assert {"iframe", "object", "embed", "img", "form"}.isdisjoint(references.tags)


def test_what_others_wrote_is_shown_and_not_obeyed(text: str, tab: Page) -> None:
    assert "<script>alert" not in text
    assert "<img" not in text
    shown = tab.inner_text("main")
    for words in (
        "exit status 1: ",
        "no RabbitMQ: ",
        "It works in batches. ",
        "Redis, kept a day ",
        "within 10 s ",
    ):
        assert f"{words}{chapters.HOSTILE}" in shown


def test_a_page_of_many_cells_stays_small(text: str) -> None:
    assert len(list(chapters.settings())) * len(chapters.PACES) * chapters.BLOCKS > 300
    assert len(text) < 3_000_000


def test_the_sections_are_in_order_and_in_the_contents(tab: Page) -> None:
    assert tab.locator("main h2").all_inner_texts() == SECTIONS
    links = tab.locator("nav a")
    assert links.all_inner_texts() == SECTIONS
    for target in links.evaluate_all("links => links.map(link => link.hash)"):
        assert tab.locator(target).count() == 1


def test_the_table_has_the_words_of_the_terminal(directory: Path, tab: Page) -> None:
    table = report.table(report.load(directory))
    own = table.query("scenario == 'burst' and jobs == 2000 and profile == 'matched'")
    lines = [line.strip("| ").split(" | ") for line in report.printing.markdown_table(own).splitlines()]
    heads, _, *rows = [line for line in lines if len(line) > 5]
    shown = tab.locator("#table table")
    assert [" ".join(head.split()) for head in shown.locator("thead th").all_inner_texts()] == heads
    cells = shown.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(c => c.innerText))"
    )
    assert [[" ".join(cell.split()) for cell in row] for row in cells] == rows


def column(tab: Page, head: str) -> list[str]:
    """The cells below a head of the page's first table, in their order; the medians only."""
    heads = [" ".join(each.split()) for each in tab.locator("#table thead th").all_inner_texts()]
    cells = tab.locator(f"#table tbody tr > :nth-child({heads.index(head) + 1})").all_inner_texts()
    return [cell.split()[0] for cell in cells]


def test_a_head_sorts_by_click_and_by_key(show: Visit) -> None:
    tab = show()
    head = tab.locator("#table thead th", has_text="jobs/s")
    fastest_first = column(tab, "jobs/s")
    assert fastest_first[-1] == "--"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(tab, "jobs/s") == [*reversed(fastest_first[:-1]), "--"]
    tab.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(tab, "jobs/s") == fastest_first
    tab.locator("#table thead th", has_text="contender").get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert column(tab, "contender") == sorted(chapters.PACES)


def test_a_contender_can_be_taken_out_of_all_tables_and_figures(show: Visit) -> None:
    tab = show()
    owned = '[data-contender="{}"]'.format
    marks = tab.locator(
        f"figure .wide {owned('distq-postgres')}, figure :not(.narrow) > svg {owned('distq-postgres')}"
    )
    rows = tab.locator(f"tr{owned('distq-postgres')}")
    figures_with_it = tab.locator(f"figure:has(.mark{owned('distq-postgres')})").count()
    assert figures_with_it == tab.locator("figure").count()
    assert rows.locator("visible=true").count() == rows.count() > 10
    box = tab.get_by_role("checkbox", name="distq-postgres", exact=True)
    box.focus()
    tab.keyboard.press("Space")
    assert rows.locator("visible=true").count() == 0
    assert (
        tab.locator(f".mark{owned('distq-postgres')}, .inside{owned('distq-postgres')}")
        .locator("visible=true")
        .count()
        == 0
    )
    names = marks.and_(tab.locator(".name"))
    assert set(names.evaluate_all("all => all.map(one => getComputedStyle(one).opacity)")) == {"0.3"}
    assert tab.locator(f"tr{owned('celery-redis')}").locator("visible=true").count() > 10
    tab.get_by_role("button", name="none").click()
    assert tab.locator("tr[data-contender]").locator("visible=true").count() == 0
    tab.get_by_role("button", name="all").click()
    assert rows.locator("visible=true").count() == rows.count()


def test_the_marks_of_a_contender_are_its_own(text: str) -> None:
    found = re.findall(r'<g class="mark" data-contender="([^" ]+)">(.*?)</g>', text)
    coloured = [(name, shade) for name, own in found for shade in re.findall(r"--c-[0-9a-f]{6}", own)]
    lines = {name: shades.variable(colour(name)) for name in chapters.PACES}
    bars = ("cfcfcf", "8f8f8f", "e3b23c", "35476f", "9db4c0")
    assert len(coloured) > 500
    assert [pair for pair in coloured if pair[1] not in lines[pair[0]] and pair[1][4:] not in bars] == []


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_nothing_is_wider_than_the_screen(show: Visit, width: int) -> None:
    tab = show(viewport={"width": width, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    first = tab.locator("#answer figure")
    assert first.locator(".narrow").is_visible() == (width < 640)
    assert first.locator(".wide").is_visible() == (width > 640)


def test_what_is_wider_than_its_box_is_reached_by_the_keyboard(show: Visit) -> None:
    tab = show(viewport={"width": 360, "height": 800})
    box = tab.locator("#table .scroll")
    eventually(lambda: box.get_attribute("tabindex") == "0")
    box.focus()
    tab.keyboard.press("ArrowRight")
    eventually(lambda: box.evaluate("box => box.scrollLeft") > 0)
    assert box.evaluate("box => getComputedStyle(box).outlineStyle") != "none"


def colours(tab: Page) -> list[str]:
    """Of the ground, of the text, of a figure's text and of a mark."""
    return tab.evaluate(
        """() => {
            const of = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
            return [of("body", "backgroundColor"), of("body", "color"), of(".wide svg .name text", "fill"),
                    of('.wide svg .mark[data-contender="distq-postgres"] path', "stroke")];
        }"""
    )


def test_it_is_dark_where_the_reader_wants_it_so_and_light_on_paper(show: Visit) -> None:
    light, dark = (show(color_scheme=scheme) for scheme in ("light", "dark"))
    on_light, on_dark = colours(light), colours(dark)
    assert all(one != other for one, other in zip(on_light, on_dark, strict=True))
    assert on_light[0] == "rgb(255, 255, 255)"
    assert on_dark[0] == "rgb(22, 24, 27)" == "rgb({}, {}, {})".format(*bytes.fromhex(shades.DARK_PAPER[1:]))
    dark.emulate_media(media="print")
    assert colours(dark) == on_light


def test_it_prints_without_what_only_a_screen_can_do(show: Visit) -> None:
    tab = show(color_scheme="dark")
    printed = tab.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 5
    tab.emulate_media(media="print")
    assert not tab.locator("aside").is_visible()
    assert tab.locator("#answer .wide").is_visible()
    assert tab.locator("#table table").is_visible()


def test_tables_and_headings_say_what_they_are(tab: Page) -> None:
    assert tab.locator("h1").count() == 1
    assert tab.locator("table:not(:has(> caption))").count() == 0
    assert tab.locator("th:not([scope])").count() == 0
    assert tab.locator("tbody tr:not(:has(> th[scope=row]))").count() == 0
    assert tab.locator("figure svg:not([role=img][aria-label])").count() == 0
    ids = tab.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_promises_that_were_not_kept_are_marked(tab: Page) -> None:
    marked = tab.locator("#promises td.different")
    assert marked.all_inner_texts() == ["at most once", "before the run"]
    assert "not observed in this run" in tab.inner_text('#promises tr.joined[data-contender="null"]')
    assert tab.locator("#promises .notes").inner_text().startswith("celery-redis: claims at least once, but")


def test_it_says_what_a_promise_costs_and_what_drifts(tab: Page) -> None:
    ratio = tab.locator('#profiles tr[data-contender="celery-redis"] td').nth(2).inner_text()
    assert float(ratio) == pytest.approx(1.4, rel=0.1)
    assert "celery-redis: drifting in " in tab.inner_text("#s-churn .notes")
    assert "another leads with batch 10" in tab.inner_text("#answer")
    assert "refused: " in tab.inner_text('#s-sweep-workers tr[data-contender="rabbitmq-redis"] >> nth=0')


def test_it_can_be_repeated(directory: Path, tab: Page) -> None:
    digest = report.load(directory).seal.split()[1]
    assert tab.inner_text("#manifest .hash").startswith(digest)
    assert "jobs.csv.gz" in tab.inner_text("#manifest")
    assert "cannot be repeated exactly" in tab.inner_text("#repeat")
    said = tab.inner_text("#repeat pre >> nth=0").splitlines()
    assert said == [
        "git checkout 0123456789abcdef0123456789abcdef01234567",
        f"python -m scenarios.run --preset standard --out '{chapters.HOSTILE}'",
    ]


def rendered(run: report.Run, directory: Path, *, scenario: str = "steady", **parts: object) -> Path:
    """The page of one scenario, in a directory; `parts` of the manifest are others, None leaves one out."""
    manifest = {key: part for key, part in {**run.manifest, **parts}.items() if part is not None}
    summary = run.summary.loc[run.summary.loc[:, "scenario"] == scenario]
    cut = dataclasses.replace(run, manifest=manifest, summary=summary)
    (directory / page.NAME).write_text(page.render(cut))
    return directory


MUTANTS = {
    "not run": (None, "The checkers were not tested in this run: python -m scenarios.mutants"),
    "none": ({"caught": []}, "The checkers were not tested in this run: python -m scenarios.mutants"),
    "missed": (chapters.missed(), "1 of 2 mutants were not caught: liar. "),
}


@pytest.mark.parametrize("case", MUTANTS)
def test_checkers_that_may_not_work_are_told_of_in_red(
    directory: Path, tmp_path: Path, show: Visit, case: str
) -> None:
    mutants, said = MUTANTS[case]
    tab = show(rendered(report.load(directory), tmp_path, mutants=mutants))
    banner = tab.locator(".banner")
    assert banner.inner_text().startswith(said)
    assert banner.evaluate("banner => getComputedStyle(banner).backgroundColor") == "rgb(179, 23, 29)"
    assert tab.inner_text("#checkers .fault").startswith(said)


def test_checkers_that_work_need_no_banner(tab: Page) -> None:
    assert tab.locator(".banner").count() == 0
    assert "Every mutant was caught." in tab.inner_text("#checkers")
    assert "a false-positive rate of" in tab.inner_text("#checkers")


def test_what_a_manifest_lacks_is_said_to_be_missing(directory: Path, tmp_path: Path, show: Visit) -> None:
    lacking = {"adapters": None, "servers": None, "machine": None, "commit": None, "dirty": None}
    tab = show(rendered(report.load(directory), tmp_path, **lacking))
    assert "manifest holds no promises" in tab.inner_text("#promises p")
    assert "manifest holds no such sheet" in tab.inner_text("#unequal p")
    assert "commit unknown" in tab.inner_text("#asked")


@pytest.mark.parametrize("scenario", ["capacity", "sweep-workers", "sensitivity", "churn"])
def test_any_scenario_may_be_the_first(directory: Path, tmp_path: Path, show: Visit, scenario: str) -> None:
    tab = show(rendered(report.load(directory), tmp_path, scenario=scenario))
    assert tab.inner_text("#answer .answer").startswith(scenario)
    assert tab.locator("#answer figure .wide").is_visible()
    assert tab.locator("#table tbody tr").count() >= len(chapters.PACES)


def test_the_committed_run_has_a_page(tmp_path: Path, show: Visit) -> None:
    (tmp_path / page.NAME).write_text(page.render(report.load(ROOT / "results" / "reference")))
    tab = show(tmp_path, viewport={"width": 360, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert tab.locator("#answer .answer").count() > 0


def test_jobs_that_cannot_be_read_are_one_clear_error(directory: Path, tmp_path: Path) -> None:
    run = report.load(directory)
    with pytest.raises(report.ReportError, match=r"no jobs\.csv\.gz"):
        page.render(
            dataclasses.replace(
                run,
                directory=Path(
                    shutil.copytree(directory, tmp_path / "run", ignore=shutil.ignore_patterns("jobs*"))
                ),
            )
        )


@pytest.mark.parametrize(
    "shade", ["#3a3a3a", "#00508c", "#00523b", "#a63f00", "#35476f", "#ababab", "#56b4e9"]
)
def test_each_shade_stands_out_on_dark_ground(shade: str) -> None:
    assert shades.contrast(shades.on_dark(shade), shades.DARK_PAPER) > 3.5


def test_shades_keep_their_order_on_dark_ground() -> None:
    found = [
        shades.contrast(shades.on_dark(shade), shades.DARK_PAPER)
        for shade in ("#00508c", "#0072b2", "#56b4e9")
    ]
    assert found == sorted(found)
