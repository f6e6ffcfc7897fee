"""The dashboard's pages without a browser: addresses, refusals, what they say when things are as they should
not be.
"""

from __future__ import annotations

import html
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from limits import RateLimitItemPerHour

from distq.admin.crew import Timetable, Vitals
from distq.admin.monitor import Point
from distq.admin.timeline import Event
from distq.errors import StorageUnavailable
from distq.job import JobState, NewJob, OutcomeKind, Presence, Unique
from distq.memory.storage import MemoryStorage
from distq.messages import RemoteError, encode_error
from distq.service import application
from distq.service.audit import Audit
from distq.service.pages import bulk, drawing, rendering, runs, sparks, stream
from distq.storage import Op
from tests.contract.steps import QUEUE, add, make, settle, take
from tests.helpers import eventually
from tests.services import OPERATE, READ, STORES, TOKENS, Visitor, open_storage, service_on, serving, visiting

ERROR = encode_error(RemoteError("NoRoute", "no route to ada@example.com", "Traceback: there"))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGES = ("/", "/jobs", "/dead", "/workers", "/cron", "/audit", f"/queues/{QUEUE}")


class Away(MemoryStorage):
    """A storage that can be taken away."""

    is_away = False

    async def arun(self, op: Op[Any], connection: Any = None) -> Any:
        if self.is_away:
            raise StorageUnavailable(self.where, "the connection was refused")
        return await super().arun(op, connection)


@pytest.fixture
def storage() -> Away:
    return Away()


@pytest.fixture
def visit(storage: Away) -> Iterator[Visitor]:
    with visiting(service_on(storage)) as visit:
        yield visit


def die(storage: MemoryStorage, count: int = 1, body: bytes = ERROR) -> list[str]:
    ids = add(storage, count)
    settle(storage, take(storage, count), OutcomeKind.DEAD, body=body)
    return ids


def text(response: httpx.Response) -> str:
    """What a page says, without its tags."""
    assert response.headers["content-type"].startswith("text/html")
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", response.text)).split())


def ticket(visit: Visitor, path: str = "/") -> str:
    found = re.search(r'name="csrf" value="(\w+)"', visit.get(path).text)
    assert found
    return found[1]


def send(visit: Visitor, path: str, **fields: Any) -> httpx.Response:
    """A form, as a browser sends it from one of the pages."""
    return visit.post(path, data={"csrf": ticket(visit), **fields})


# -- files -----------------------------------------------------------------------------------------------


def test_a_browser_that_is_lost_gets_a_page_and_a_program_a_problem(visit: Visitor) -> None:
    page = visit.get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this address." in text(page)
    assert visit.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_files_are_kept_for_good_under_addresses_that_change_with_them(visit: Visitor) -> None:
    addresses = re.findall(r'(?:href|src)="(/static/[^"]*)"', visit.get("/").text)
    assert len(addresses) >= 4
    for address in addresses:
        assert "immutable" in visit.get(address).headers["cache-control"]
    bare = visit.get(addresses[-1].partition("?")[0])
    assert bare.headers["cache-control"] == "no-cache"
    again = visit.get(addresses[-1], headers={"If-None-Match": bare.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.css", "..%2fassets.py", "LICENCES.txt"])
def test_there_are_no_other_files(visit: Visitor, name: str) -> None:
    assert visit.get(f"/static/{name}").status_code == 404


# -- addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_no_inline_script_or_style(visit: Visitor, storage: Away, path: str) -> None:
    die(storage)
    page = visit.get(path)
    assert page.status_code == 200
    assert re.findall(r"<script(?! defer src)|<style|\sstyle=|\son\w+=|javascript:", page.text) == []
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert visit("HEAD", path).status_code == 200


@pytest.mark.parametrize("store", STORES)
def test_jobs_of_all_states_are_shown_on_each_storage(request: pytest.FixtureRequest, store: str) -> None:
    for storage in open_storage(request, store):
        done = add(storage)
        settle(storage, take(storage), OutcomeKind.DONE, body=b'"the result"')
        dead = add(storage)
        settle(storage, take(storage), OutcomeKind.DEAD, body=ERROR)
        gone, later, ready = add(storage), add(storage, delay=60), add(storage)
        storage.run(storage.cancel(gone, reason=ERROR))
        leased = [lease.id for lease in take(storage, 1)]
        ready = [job_id for job_id in ready if job_id not in leased] or add(storage)
        with visiting(service_on(storage)) as visit:
            for path in PAGES:
                assert visit.get(path).status_code == 200
            for word, ids in (
                ("done", done),
                ("dead", dead),
                ("cancelled", gone),
                ("scheduled", later),
                ("ready", ready),
                ("leased", leased),
            ):
                assert word in text(visit.get(f"/jobs/{ids[0]}"))
                assert f"/jobs/{ids[0]}" in visit.get(f"/jobs?queue={QUEUE}&state={word}&newer=1h").text
            assert "the result" in text(visit.get(f"/jobs/{done[0]}"))
            assert "ada@example.com" in text(visit.get(f"/dead?queue={QUEUE}"))


def test_below_a_prefix_all_addresses_are_there(storage: Away) -> None:
    app = FastAPI()
    app.include_router(application.router(service_on(storage)), prefix="/queue")
    job_id = die(storage)[0]
    with visiting(app) as visit:
        for path in (*PAGES, f"/jobs/{job_id}", "/bulk?action=replay&queue=mail&state=dead"):
            page = visit.get(f"/queue{path}").text
            found = re.findall(r'(?:href|src|action|formaction|sse-connect)="([^"#][^"]*)"', page)
            assert [address for address in found if not address.startswith("/queue/")] == []
        moved = send_below(visit, "/queue", f"/queue/jobs/{job_id}/replay")
        assert moved.headers["location"] == f"/queue/jobs/{job_id}?did=replay&done=1&left=0"


def send_below(visit: Visitor, root: str, path: str) -> httpx.Response:
    return visit.post(path, data={"csrf": ticket(visit, f"{root}/")})


def test_who_is_not_known_is_led_to_the_login_and_to_no_other_site() -> None:
    with visiting(service_on(MemoryStorage(), tokens=TOKENS)) as visit:
        asked = visit.get("/jobs", params={"queue": "mail"})
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2Fjobs%3Fqueue%3Dmail")
        partial = visit.get("/bulk", headers={"HX-Request": "true"})
        assert (partial.status_code, partial.headers["hx-redirect"]) == (401, "/login")
        for where in (
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "",
            "/x\r\nX: y",
            "jobs",
        ):
            entered = visit.post("/login", data={"token": OPERATE, "next": where})
            assert entered.headers["location"] == "/"
        assert visit.post("/login", data={"token": "x" * 20, "next": "/jobs"}).status_code == 401
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
        ):
            for path in ("/login", "/logout"):
                foreign = visit.post(path, data={"token": OPERATE}, headers=headers)
                assert (foreign.status_code, "set-cookie" in foreign.headers) == (403, False)


def test_who_is_not_known_is_told_nothing_of_the_deployment() -> None:
    storage = MemoryStorage()
    with visiting(service_on(storage, tokens=TOKENS)) as visit:
        assert storage.where not in visit.get("/login").text
        assert "<nav" not in visit.get("/login").text


def test_many_tokens_are_not_tried() -> None:
    with visiting(service_on(MemoryStorage(), tokens=TOKENS, writes=RateLimitItemPerHour(5))) as visit:
        tries = visit.at_once(8, "POST", "/login", data={"token": "x" * 20})
    assert sorted(each.status_code for each in tries) == [401] * 5 + [429] * 3


def test_a_form_in_an_encoding_that_makes_no_texts_is_refused() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="next"\r\n\r\n\\ud800\r\n--x--\r\n'
    with visiting(service_on(MemoryStorage(), tokens=TOKENS)) as visit:
        for charset in ("unicode_escape", "'utf-7'", '"utf-16"'):
            headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
            assert visit.post("/login", content=body, headers=headers).status_code == 400
        for charset in ("UTF-8", '"utf-8"'):
            headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={charset}"}
            assert visit.post("/login", content=f"token={OPERATE}", headers=headers).status_code == 303


def test_who_goes_while_sending_a_form_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    with serving(service_on(MemoryStorage(), tokens=TOKENS)) as url:
        host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
        with socket.create_connection((host, port)) as connection:
            connection.sendall(f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\ntoken=".encode())
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            connection.recv(1)
        assert httpx.get(f"{url}/health").status_code == 200
    assert "a request failed" not in caplog.text


def test_so_many_pages_are_watched_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST", 2)
    service = service_on(MemoryStorage())
    with serving(service) as url, ExitStack() as open_pages:
        for path in ("/live/queues", "/live/workers"):
            assert open_pages.enter_context(httpx.stream("GET", f"{url}{path}")).status_code == 200
        eventually(lambda: service.live.watchers == 2)
        refused = httpx.get(f"{url}/live/queues/mail")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        open_pages.close()
        eventually(lambda: service.live.watchers == 0)
        with httpx.stream("GET", f"{url}/live/queues") as page:
            assert page.status_code == 200


def test_a_stream_ends_where_the_storage_goes_away_between_two_questions(
    storage: Away, caplog: pytest.LogCaptureFixture
) -> None:
    (job_id,) = add(storage)

    def away(job_id: str) -> Any:
        raise StorageUnavailable(storage.where, "the connection was refused")

    storage.get = away
    with serving(service_on(storage)) as url:
        response = httpx.get(f"{url}/live/jobs/{job_id}")
        assert (response.status_code, response.text) == (200, "")
    assert "Traceback" not in caplog.text


def test_the_head_of_a_stream_ends(visit: Visitor) -> None:
    response = visit("HEAD", "/live/queues")
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "text/event-stream; charset=utf-8",
    )


def test_a_reader_sees_who_did_what_and_not_the_words(storage: Away) -> None:
    with visiting(service_on(storage, tokens=TOKENS)) as visit:
        operator = {"Authorization": f"Bearer {OPERATE}"}
        chosen = {"text": "ada@example.com", "task": "shop.send", "reason": "her wish"}
        visit.post(f"/api/queues/{QUEUE}/cancel", chosen, headers=operator)
        said = text(visit.get("/audit", headers=operator))
        assert "ada@example.com" in said
        assert "her wish" in said
        said = text(visit.get("/audit", headers={"Authorization": f"Bearer {READ}"}))
        assert "shop.send" in said
        assert "ada@example.com" not in said
        assert "her wish" not in said


def test_a_form_leads_back_to_its_page_and_to_no_other_site(visit: Visitor, storage: Away) -> None:
    add(storage)
    for referer, place in (
        ("http://localhost/?x=1", "/?x=1"),
        ("http://evil.example/", "/queues/mail"),
        ("http://[", "/queues/mail"),
        ("http://localhost//evil.example", "/queues/mail"),
        ("", "/queues/mail"),
    ):
        data = {"csrf": ticket(visit)}
        paused = visit.post("/queues/mail/pause", data=data, headers={"Referer": referer})
        assert (paused.status_code, paused.headers["location"]) == (303, place)
    done = send(visit, "/bulk", action="purge", queue="mail", to="//evil.example/x")
    assert done.headers["location"] == "/jobs?queue=mail&did=purge&done=1"


def test_an_address_cannot_make_a_page_say_anything(visit: Visitor) -> None:
    said = text(visit.get("/jobs", params={"did": "replay", "done": "<b>9</b>", "left": "1e9", "x": "evil"}))
    assert "0 jobs are ready again." in said
    assert "evil" not in said
    assert 'class="note"' not in visit.get("/jobs", params={"did": "call 555-1234"}).text


# -- refusals --------------------------------------------------------------------------------------------


def test_what_is_not_there_is_said_on_a_page_to_people_and_as_a_problem_to_programs(visit: Visitor) -> None:
    for path in ("/jobs/nothing", f"/jobs/mail:{'0' * 32}", "/queues/nothing"):
        assert visit.get(path).status_code == 404
        assert text(visit.get(path))
    with visiting(service_on(MemoryStorage(), tokens=TOKENS), token=OPERATE) as program:
        answer = program.get("/jobs/nothing")
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_without_its_ticket_changes_nothing(visit: Visitor, storage: Away) -> None:
    ids = die(storage, 2)
    for path in ("/queues/mail/pause", f"/jobs/{ids[0]}/replay", "/cron", "/bulk"):
        refused = visit.post(path, data={"action": "purge", "queue": "mail"})
        assert refused.status_code == 403
        assert "load the page again" in text(refused)
    assert storage.run(storage.queues()) == {"mail": False}
    assert storage.run(storage.counts("mail")).get(JobState.DEAD) == 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"newer": "soon"}, "Newer: 'soon' is no duration"),
        ({"state": "gone"}, "There is no state 'gone'"),
        ({"queue": "no/queue"}, "cannot name a queue"),
        ({"after": "garbage"}, "this leads to no page"),
        ({"order": "random"}, "Order 'random': use latest or first"),
    ],
)
def test_a_search_that_cannot_be_says_what_is_wrong_and_keeps_the_rest(
    visit: Visitor, query: dict[str, str], said: str
) -> None:
    page = visit.get("/jobs", params={"task": "kept", **query})
    assert page.status_code == 422
    assert said in text(page)
    assert 'value="kept"' in page.text


def test_a_search_for_an_id_leads_to_its_job_and_one_for_a_key_that_looks_like_it_finds_that(
    visit: Visitor, storage: Away
) -> None:
    (job_id,) = add(storage)
    digits = job_id.partition(":")[2]
    for q in (job_id, digits, f" {digits.upper()} "):
        found = visit.get("/jobs", params={"q": q})
        assert (found.status_code, found.headers["location"]) == (303, f"/jobs/{job_id}")
    assert "No job is like that." in text(visit.get("/jobs", params={"q": digits[:-1]}))
    for key in ("AB" * 16, "order:" + "ab" * 16):
        assert "No job is like that." in text(visit.get("/jobs", params={"q": key}))
        (keyed,) = add(storage, unique=Unique(key))
        assert f'href="/jobs/{keyed}"' in visit.get("/jobs", params={"q": key}).text


def test_a_reader_may_not_search_in_errors_nor_see_what_jobs_carry() -> None:
    storage = MemoryStorage()
    job_id = die(storage)[0]
    with visiting(service_on(storage, tokens=TOKENS)) as visit:
        visit.post("/login", data={"token": READ})
        assert visit.get("/jobs?text=ada").status_code == 403
        assert visit.get("/bulk?action=replay&queue=mail").status_code == 403
        for path in (f"/jobs/{job_id}", "/jobs?state=dead", "/dead"):
            page = visit.get(path)
            assert "NoRoute" in page.text
            assert "ada@example.com" not in page.text
            assert "formaction" not in page.text
        refused = visit.post(f"/jobs/{job_id}/replay")
        assert refused.status_code == 403


# -- many jobs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("action=replay&queue=mail", "Replay 3 dead and 1 cancelled jobs of queue mail?"),
        ("action=replay&queue=mail&state=dead&text=NoRoute", "Replay 2 dead jobs of queue mail whose error"),
        ("action=replay&queue=mail&state=dead&older=1h", "There is nothing to replay"),
        ("action=cancel&queue=mail", "Cancel 5 ready jobs of queue mail?"),
        ("action=purge&queue=mail&task=app.task", "Purge 5 ready, 3 dead and 1 cancelled jobs of queue mail"),
    ],
)
def test_a_confirmation_says_how_many(visit: Visitor, storage: Away, query: str, said: str) -> None:
    die(storage, 2)
    die(storage, 1, body=encode_error(RemoteError("Other", "x")))
    storage.run(storage.cancel(add(storage), reason=ERROR))
    add(storage, 5)
    assert said in text(visit.get(f"/bulk?{query}"))


def test_what_is_counted_one_by_one_has_a_bound(
    visit: Visitor, storage: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST", 3)
    die(storage, 5)
    assert "Replay more than 3 dead jobs of queue mail of task app.task?" in text(
        visit.get("/bulk?action=replay&queue=mail&task=app.task&state=dead")
    )
    assert "Replay 5 dead jobs of queue mail?" in text(visit.get("/bulk?action=replay&queue=mail&state=dead"))


def test_a_reason_is_kept_and_all_queues_are_meant_where_none_is_named(visit: Visitor, storage: Away) -> None:
    ids = [add(storage)[0], storage.run(storage.enqueue(make(queue="other")))[0].id]
    send(visit, "/bulk", action="cancel", reason="for the night")
    for job_id in ids:
        assert "for the night" in text(visit.get(f"/jobs/{job_id}"))
    assert "cancel" in text(visit.get("/audit"))
    assert "2 done, 0 asked" in text(visit.get("/audit"))


def test_too_many_named_jobs_are_refused(visit: Visitor, storage: Away) -> None:
    ids = add(storage, bulk.IDS + 1)
    assert visit.get("/bulk", params={"action": "purge", "id": ids}).status_code == 422
    assert "Purge 200 ticked jobs?" in text(visit.get("/bulk", params={"action": "purge", "id": ids[1:]}))


def test_what_takes_long_goes_on_and_the_audit_says_how_it_went(
    visit: Visitor, storage: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PATIENCE", 0.0)
    die(storage, 1200)
    sent = send(visit, "/bulk", action="replay", queue="mail", to="/dead")
    assert sent.headers["location"] == "/dead?did=replay&under_way=1"
    assert "goes on by itself" in text(visit.get(sent.headers["location"]))
    eventually(lambda: "1,200 done" in text(visit.get("/audit")))


def test_nothing_is_done_that_the_audit_cannot_note(storage: Away, tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit")
    add(storage)
    with visiting(service_on(storage, audit=audit)) as visit:
        ours = ticket(visit)
        (tmp_path / "audit").unlink()
        (tmp_path / "audit").mkdir()
        refused = visit.post("/bulk", data={"csrf": ours, "action": "purge", "queue": "mail"})
        assert refused.status_code == 503
        assert "audit log" in text(refused)
        assert "Nothing was done." in text(refused)
    assert storage.run(storage.counts("mail"))[JobState.READY] == 1


# -- a storage that is away ------------------------------------------------------------------------------


def test_while_the_storage_is_away_what_was_last_seen_is_shown_as_old(visit: Visitor, storage: Away) -> None:
    add(storage, 7)
    assert "Nothing is wrong" not in text(visit.get("/"))  # no worker serves them
    storage.is_away = True
    eventually(lambda: "does not answer" in text(visit.get("/")))
    said = text(visit.get("/"))
    assert "The storage does not answer." in said
    assert "the connection was refused" in said
    assert re.search(r"mail 7 ", said)
    refused = send_away(visit, storage)
    assert refused.status_code == 503
    assert "Whether it was done is not known" in text(refused)
    storage.is_away = False
    eventually(lambda: "does not answer" not in text(visit.get("/")))


def send_away(visit: Visitor, storage: Away) -> httpx.Response:
    return visit.post("/queues/mail/pause", data={"csrf": ticket(visit)})


def test_a_storage_that_never_answered_is_said_to_be_away(storage: Away) -> None:
    storage.is_away = True
    with visiting(service_on(storage)) as visit:
        page = visit.get("/")
    assert page.status_code == 503
    assert "the connection was refused" in text(page)


# -- runs ------------------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in ("one", ".hidden"):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "report.html").write_text("<script>1</script>")
    (tmp_path / "report.html").write_text("secret")
    (tmp_path / "results" / "linked").symlink_to(tmp_path)
    (tmp_path / "results" / "empty").mkdir()
    (tmp_path / "results" / "one" / "manifest.json").write_text('{"scenario": "<b>quick</b>", "commit": 7}')
    return tmp_path / "results"


def test_runs_are_listed_and_their_reports_reach_nothing(storage: Away, results: Path) -> None:
    with visiting(service_on(storage, results=results)) as visit:
        page = visit.get("/runs")
        assert re.findall(r'href="/runs/(\w+)"', page.text) == ["one"]
        assert "<b>quick</b>" in text(page)
        report = visit.get("/runs/one")
        assert report.headers["content-security-policy"] == runs.POLICY
        assert "allow-same-origin" not in runs.POLICY
        for name in (
            "linked",
            ".hidden",
            "..%2f",
            "empty",
            "one%2f..%2f..",
            "nothing",
            "%00",
        ):
            assert visit.get(f"/runs/{name}").status_code == 404


def test_without_results_there_are_no_runs(visit: Visitor) -> None:
    assert visit.get("/runs").status_code == 404
    assert "/runs" not in visit.get("/").text


# -- one job ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "link"),
    [
        (
            b'{"trace":{"traceparent":"00-%b-00f067aa0ba902b7-01"}}' % (b"ab" * 16),
            "https://t.example/" + "ab" * 16,
        ),
        (b'{"trace":{"traceparent":"00-../../../x-1-1"}}', None),
        (b'{"trace":7}', None),
        (b"{}", None),
    ],
)
def test_a_job_leads_to_its_trace(storage: Away, headers: bytes, link: str | None) -> None:
    job_id = add(storage, payload=headers + b"\n{}")[0]
    with visiting(service_on(storage, trace_url="https://t.example/{trace_id}")) as visit:
        found = re.search(r'href="(https://t\.example/[^"]*)"', visit.get(f"/jobs/{job_id}").text)
    assert (found and found[1]) == link


def test_of_a_job_that_is_done_only_attempts_without_a_result_are_unfolded(
    visit: Visitor, storage: Away
) -> None:
    (job_id,) = add(storage)
    settle(storage, take(storage), OutcomeKind.RETRY, body=ERROR)
    settle(storage, take(storage), OutcomeKind.DONE, body=b"7")
    assert visit.get(f"/jobs/{job_id}").text.count("<details") == 1
    (other,) = add(storage)
    settle(storage, take(storage), OutcomeKind.DONE, body=b"7")
    page = visit.get(f"/jobs/{other}").text
    assert ("<details" in page, "Attempts without a result" in page) == (False, False)


def test_a_large_payload_is_cut_and_said_to_be(visit: Visitor, storage: Away) -> None:
    job_id = add(storage, payload=b'{}\n{"text":"' + b"x" * 100_000 + b'"}')[0]
    page = visit.get(f"/jobs/{job_id}")
    assert len(page.text) < 60_000
    assert "characters more" in text(page)


def test_payloads_that_nobody_can_read_are_shown_all_the_same(visit: Visitor, storage: Away) -> None:
    job = NewJob(f"mail:{'0' * 32}", "mail", "t", b"\xff\xfe nonsense")
    storage.run(storage.enqueue([job]))
    assert "nonsense" in text(visit.get(f"/jobs/{job.id}"))
    settle(storage, take(storage), OutcomeKind.DEAD, body=b"\xff no error")
    assert "no error" in text(visit.get(f"/jobs/{job.id}"))
    assert "no error" in text(visit.get("/jobs"))


AT = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def test_a_timeline_is_to_scale() -> None:
    events = [
        Event(at=at(0), what="enqueued"),
        Event(at=at(20), what="retry", began=at(10)),
        Event(at=at(100), what="done", began=at(90)),
    ]
    rows = drawing.draw(events, at(10_000))
    assert [(row.wait, row.attempt, row.took) for row in rows] == [
        (None, None, None),
        ((0, 100), (100, 100), 10),
        ((200, 700), (900, 100), 10),
    ]


def test_what_a_worker_measured_is_told_and_what_the_store_saw_is_drawn() -> None:
    events = [Event(at=at(0), what="enqueued"), Event(at=at(20), what="dead", began=at(10), ran=7.0)]
    row = drawing.draw(events, at(100))[-1]
    assert (row.attempt, row.took) == ((500, 500), 7.0)


@pytest.mark.parametrize(
    ("last", "wait", "attempt"),
    [
        (Event(at=at(50), what="leased"), (0, 500), (500, 500)),
        (Event(at=at(200), what="due"), (0, 1000), None),
        (None, (0, 1000), None),
    ],
)
def test_a_timeline_that_goes_on_ends_now_or_when_it_is_due(last: Any, wait: Any, attempt: Any) -> None:
    events = [Event(at=at(0), what="enqueued"), *([last] if last else [])]
    row = drawing.draw(events, at(100))[-1]
    assert (row.wait, row.attempt) == (wait, attempt)


def test_a_timeline_of_no_time_at_all_can_be_drawn() -> None:
    rows = drawing.draw([Event(at=AT, what="enqueued"), Event(at=AT, what="done", began=AT)], AT)
    assert rows[-1].attempt == (0, 0)


# -- cron ------------------------------------------------------------------------------------------------


def test_a_schedule_of_which_nothing_was_fired_shows_no_last_tick(visit: Visitor, storage: Away) -> None:
    (known,) = storage.run(storage.schedules("reports", ["nightly"])).schedules
    add(storage, queue="reports")
    assert "nightly not known no live worker declares it at the latest" in text(visit.get("/cron"))
    tick = known.last + 1
    table = Timetable(
        queue="reports", name="nightly", task="t", expression=f"{tick % 60} * * * * *", tz="UTC"
    )
    vitals = Vitals(crons=(table,)).encode()
    storage.run(storage.announce(Presence("w1", "here", 1, ("reports",), ("t",), vitals=vitals)))
    assert "none since" in text(visit.get("/cron"))
    eventually(lambda: storage.run(storage.schedules("reports", ())).now >= tick)
    storage.run(storage.fire("reports", "nightly", last=known.last, tick=tick, job=None))
    page = text(visit.get("/cron"))
    assert "none since" not in page
    assert rendering.exact(datetime.fromtimestamp(tick, UTC)) in page


# -- small things ----------------------------------------------------------------------------------------


def point(at: float, depth: int) -> Point:
    return Point(at, depth, enqueued=2.0, done=1.0, dead=0.0, cancelled=0.0, lapse=1.0)


def test_a_spark_is_of_ten_minutes_and_tops_at_its_largest() -> None:
    spark = sparks.depth([point(0, 99), point(7200, 0), point(7500, 10), point(7800, 5)])
    assert spark.line == "0.0,23.0 60.0,1.0 120.0,12.0"
    short = sparks.depth([point(0, 0), point(300, 10)])
    assert (short.line, short.area) == ("60.0,23.0 120.0,1.0", "60.0,24 60.0,23.0 120.0,1.0 120,24")
    assert spark.top == 10
    assert [each.top for each in sparks.flow([point(0, 0), point(1, 1)])] == [2.0, 1.0]
    assert sparks.depth([point(0, 1)]).line == ""


def test_a_spark_of_many_looks_has_few_marks_and_keeps_the_peak() -> None:
    spark = sparks.depth([point(n, 100 if n == 301 else 1) for n in range(600)])
    assert len(spark.line.split()) <= sparks.MARKS
    assert spark.top == 100


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("1,204", rendering.number(1204)),
        ("0", rendering.number(0.01)),
        ("12.3", rendering.number(12.34)),
        ("120", rendering.number(120.4)),
        ("87 MiB", rendering.size(87 * 2**20)),
        ("1.5 KiB", rendering.size(1536)),
        ("50 ms", rendering.span(0.05)),
        ("12 %", rendering.share(0.12)),
        ("Nothing of it runs.", rendering.sentence("nothing of it runs")),
        ("", rendering.sentence("")),
    ],
)
def test_figures_are_written_as_people_read_them(words: str, value: str) -> None:
    assert value == words


@pytest.mark.parametrize(
    ("remedy", "parts"),
    [
        ("distq resume mail", ("", "distq resume mail", "")),
        (
            "deploy workers that know it, or distq cancel --queue a --task b",
            ("Deploy workers that know it, or", "distq cancel --queue a --task b", ""),
        ),
        (
            "distq worker MODULE:APP --queues a   (more of them)",
            ("", "distq worker MODULE:APP --queues a", "(more of them)"),
        ),
        ("distq prune --older 1d; or raise maxmemory", ("", "distq prune --older 1d", "or raise maxmemory")),
        ("set it in postgresql.conf", ("Set it in postgresql.conf", "", "")),
    ],
)
def test_of_a_remedy_only_the_command_is_copied(remedy: str, parts: tuple[str, str, str]) -> None:
    assert rendering.parted(remedy) == parts


def test_with_nothing_ticked_nothing_is_meant(visit: Visitor, storage: Away) -> None:
    add(storage, 3)
    refused = visit.get("/bulk?action=cancel&to=/jobs&ticked=yes")
    assert refused.status_code == 422
    assert "No job is ticked" in text(refused)


def test_who_ticked_jobs_of_a_search_is_led_back_to_it(visit: Visitor, storage: Away) -> None:
    (job,) = die(storage)
    place = f"/jobs?queue={QUEUE}&state=dead"
    asked = visit.get("/bulk", params={"action": "replay", "id": job, "to": place, "ticked": "yes"})
    assert f'href="{place}"' in asked.text.replace("&amp;", "&")
    done = send(visit, "/bulk", action="replay", id=job, to=f"{place}&path=x&did=y")
    assert done.headers["location"] == f"{place}&did=replay&done=1&left=0"


def test_a_group_of_dead_letters_is_named_by_its_error(visit: Visitor, storage: Away) -> None:
    die(storage, 2)
    query = {"action": "purge", "queue": QUEUE, "state": "dead", "text": '{"type":"NoRoute",'}
    assert f"Purge 2 dead jobs of queue {QUEUE} that died of NoRoute?" in text(
        visit.get("/bulk", params=query)
    )
