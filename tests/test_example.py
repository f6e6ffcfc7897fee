"""The shop of examples/, driven over HTTP against its own servers and workers."""

from __future__ import annotations

import io
import json
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from distq import DistQ, JobState
from scenarios.servers.private import free_port
from tests.collector import Collector, collecting
from tests.helpers import eventually
from tests.shop import Shop, events, launched, run, serving
from tests.world import gone

BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def shop(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One shop for all tests. It makes a report each second, and sends spans at once."""
    environment = {
        "SHOP_REPORT": "* * * * * *",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with launched(tmp_path_factory.mktemp("shop") / "said", **environment) as shop:
        yield shop


def test_an_order_is_confirmed_by_mail_and_invoiced(shop: Shop) -> None:
    placed = shop.place("anna@example.org", quantity=2)
    order = placed.json()
    assert (placed.status_code, placed.headers["location"]) == (201, f"/orders/{order['id']}")
    assert (order["total"], order["confirmed_at"]) == ("6.40", None)
    job = shop.job(order["id"])
    assert (job["state"], job["result"]) == ("done", {"to": "anna@example.org", "attempt": 1})
    assert shop.http.get(f"/orders/{order['id']}").json()["order"]["confirmed_at"]
    assert shop.mails_of(order["id"]) == 1
    eventually(lambda: shop.ask("SELECT number FROM shop.invoice WHERE order_id = %s", order["id"]))


def test_a_browser_places_an_order_once_and_sees_it(shop: Shop) -> None:
    form = {"email": "form@example.org", "product": "apple cake", "quantity": "1", "idempotency_key": "form"}
    answers = [shop.http.post("/orders", data=form, headers=BROWSER) for _ in range(2)]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(303, "/")] * 2
    assert shop.http.get("/", headers=BROWSER).text.count("<td>form@example.org</td>") == 1


def test_the_page_has_no_script_but_its_file_and_shows_all_text_as_text(shop: Shop) -> None:
    page = shop.http.get("/", headers=BROWSER)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert page.text.count("<script") == page.text.count('<script src="/static/shop.js"') == 1
    form = {"email": "form@example.org", "product": "<b>", "quantity": "1"}
    refused = shop.http.post("/orders", data=form, headers=BROWSER)
    assert (refused.status_code, "&lt;b&gt;" in refused.text) == (404, True)


def test_what_changes_on_the_page_is_sent(shop: Shop) -> None:
    seen = list[str]()
    for name, html in events(shop.http, "/events"):
        if not seen:
            shop.place("live@example.org")
        seen.append(name)
        if name == "orders" and "live@example.org" in html and "<td>confirmed</td>" in html.split("</tr>")[1]:
            break
    assert {"orders", "mails", "pictures", "reports"} <= set(seen)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b"\xff",
        b'{"email": "a@b.c", "product": "birch tea", "quantity": 0}',
        b'{"email": "a@b.c\\nBcc: x@y.z", "product": "birch tea"}',
        b'{"email": "a@b.c", "product": "a\\u0000b"}',
    ],
)
def test_what_is_no_order_is_refused(shop: Shop, body: bytes) -> None:
    answer = shop.http.post("/orders", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_with_the_rollback_neither_order_nor_jobs_are_there(shop: Shop) -> None:
    mails, invoices = shop.enqueued()
    refused = shop.place("greedy@example.org", "greedy", quantity=1_900_000_000)
    assert (refused.status_code, "there are not" in refused.json()["detail"]) == (409, True)
    assert shop.ask("SELECT count(*) FROM shop.orders WHERE email = 'greedy@example.org'") == 0
    assert shop.enqueued() == (mails, invoices)
    # The request may come again, with less.
    assert shop.place("greedy@example.org", "greedy").status_code == 201
    assert shop.enqueued() == (mails + 1, invoices + 1)


def test_a_key_places_an_order_once(shop: Shop) -> None:
    mails, invoices = shop.enqueued()
    first, second = (shop.place("again@example.org", "again") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    order = first.json()["id"]
    assert (second.json()["id"], second.json()["job"]) == (order, first.json()["job"])
    assert shop.job(order)["state"] == "done"
    assert shop.place("again@example.org", "again").json()["confirmed_at"]
    assert shop.enqueued() == (mails + 1, invoices + 1)
    assert shop.mails_of(order) == 1
    assert shop.place("other@example.org", "again").status_code == 422


def test_a_key_that_comes_eight_times_at_once_places_an_order_once(shop: Shop) -> None:
    mails, invoices = shop.enqueued()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: shop.place("race@example.org", "race"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({(answer.json()["id"], answer.json()["job"]) for answer in answers}) == 1
    assert shop.enqueued() == (mails + 1, invoices + 1)


def test_a_mail_that_is_refused_for_now_is_tried_again_in_the_trace_of_its_request(
    shop: Shop, collector: Collector
) -> None:
    order = shop.place("later-1@example.org").json()["id"]
    job = shop.job(order)
    assert (job["state"], job["result"]["attempt"]) == ("done", 2)
    assert [event["what"] for event in job["events"]] == ["enqueued", "retry", "done"]
    assert "451" in job["events"][1]["error"]
    assert shop.mails_of(order) == 1

    def traced() -> bool:
        attempts = [span for span in collector.spans("job") if span.attributes.get("id") == job["id"]]
        traces = {span.attributes.get("attempt"): span.trace for span in attempts}
        requests = {span.trace for span in collector.spans("POST /orders")}
        return {1, 2} <= traces.keys() and traces[1] == traces[2] and traces[1] in requests

    eventually(traced)


def test_a_mail_that_is_refused_for_good_is_a_dead_letter(shop: Shop) -> None:
    job = shop.job(shop.place("nobody@example.org").json()["id"])
    assert (job["state"], job["error"]) == ("dead", "MailRefused: 550 5.1.1 no such mailbox")
    assert [event["what"] for event in job["events"]] == ["enqueued", "dead"]


def test_a_sync_handler_enqueues_in_its_transaction(shop: Shop) -> None:
    order = shop.place("twice@example.org").json()["id"]
    assert shop.job(order)["state"] == "done"
    again = shop.http.post(f"/orders/{order}/confirmation")
    assert again.status_code == 202
    eventually(lambda: shop.jobs.job(again.json()["job"]).state is JobState.DONE)
    assert shop.mails_of(order) == 2
    before = shop.enqueued()
    assert shop.http.post("/orders/999999/confirmation").status_code == 404
    assert shop.enqueued() == before


def test_a_picture_gets_a_thumbnail(shop: Shop) -> None:
    content = io.BytesIO()
    Image.new("RGB", (1200, 600), "teal").save(content, "PNG")
    made = shop.http.post("/pictures", files={"file": ("teal.png", content.getvalue())})
    assert made.status_code == 201

    def thumbnail() -> httpx.Response | None:
        answer = shop.http.get(made.headers["location"])
        return answer if answer.is_success else None

    found = eventually(thumbnail)
    assert found
    assert found.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(found.content)).size == (160, 80)


def test_what_is_no_picture_is_a_dead_letter_at_once(shop: Shop) -> None:
    made = shop.http.post("/pictures", files={"file": ("<script>.png", b"no picture")})
    job = shop.jobs.job(made.json()["job"])
    eventually(lambda: job.state is JobState.DEAD)
    assert "UnidentifiedImageError" in str(job.timeline()[-1].error)
    assert shop.http.get(made.headers["location"]).status_code == 404
    assert "&lt;script&gt;.png" in shop.http.get("/").text
    assert shop.http.post("/pictures", files={"file": ("large.png", bytes(11 * 2**20))}).status_code == 413


def test_an_import_tells_its_progress(shop: Shop) -> None:
    made = shop.http.post("/imports", data={"sample": "1200"})
    *steps, (last, outcome) = events(shop.http, made.headers["location"])
    fractions = [json.loads(data)["fraction"] for _, data in steps]
    assert fractions == sorted(fractions)
    assert any(0 < fraction < 1 for fraction in fractions)
    end = json.loads(outcome)
    assert (last, end["state"], end["result"]) == ("end", "done", 1200)
    assert shop.ask("SELECT count(*) FROM shop.product WHERE starts_with(name, 'wine ')") == 1200


def test_an_import_that_somebody_stops_leaves_what_it_has(shop: Shop) -> None:
    made = shop.http.post("/imports", data={"sample": "40000"})
    number, last = made.json()["id"], {}
    for _, data in events(shop.http, made.headers["location"]):
        last = json.loads(data)
        if last.get("fraction"):
            shop.http.post(f"/imports/{number}/cancel")
    assert last["state"] == "cancelled"
    assert 0 < shop.ask("SELECT done FROM shop.pricelist WHERE id = %s", number) < 40_000


def test_an_import_whose_worker_is_killed_goes_on_where_it_was(shop: Shop) -> None:
    made = shop.http.post("/imports", data={"sample": "1400"})
    killed, last = list[psutil.Process](), {}
    for _, data in events(shop.http, made.headers["location"]):
        last = json.loads(data)
        if last.get("fraction") and not killed:
            killed = workers_of(shop)
            for worker in killed:
                worker.kill()
    assert len(killed) == 2
    assert (last["state"], last["result"]) == ("done", 1400)
    assert shop.ask("SELECT done FROM shop.pricelist WHERE id = %s", made.json()["id"]) == 1400


def test_a_price_list_that_cannot_be_read_is_a_dead_letter_that_says_where(shop: Shop) -> None:
    content = b"name,price,stock\nbread,2.50,7\nmilk,cheap,1\n"
    made = shop.http.post("/imports", files={"file": ("prices.csv", content)})
    *_, (_, outcome) = events(shop.http, made.headers["location"])
    assert json.loads(outcome)["error"].startswith("BadPriceList: line 3, price:")
    assert shop.ask("SELECT count(*) FROM shop.product WHERE name = 'bread'") == 0


def test_a_schedule_makes_reports(shop: Shop) -> None:
    placed = shop.place("report@example.org").json()["id"]
    count = shop.ask("SELECT count(*) FROM shop.orders WHERE id <= %s", placed)
    eventually(lambda: [report for report in shop.http.get("/reports").json() if report["orders"] == count])


@pytest.fixture
def on_redis(shop: Shop, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a shop whose jobs are on Redis, with nobody to run them."""
    return {
        "DISTQ_URL": f"{redis_url}?prefix=w{uuid.uuid4().hex[:12]}",
        "SHOP_DATABASE": shop.addresses["database"],
        "SHOP_SMTP_PORT": "1",
        "SHOP_MAILS": str(tmp_path),
    }


def test_on_redis_jobs_follow_the_commit_and_a_repeated_request_adds_what_is_missing(
    shop: Shop, on_redis: dict[str, str]
) -> None:
    jobs = DistQ(on_redis["DISTQ_URL"])
    jobs.storage.migrate()
    mail, port = jobs.queue("mail"), free_port()
    process = run("uvicorn", "examples.shop.web:web", "--port", str(port), **on_redis)
    with serving(f"http://127.0.0.1:{port}", process) as client:
        elsewhere = Shop(process, shop.said, client, shop.addresses, jobs)
        eventually(lambda: answers(client), 30)
        assert elsewhere.place("redis@example.org", quantity=1_900_000_000).status_code == 409
        assert elsewhere.enqueued() == (0, 0)
        order = elsewhere.place("redis@example.org", "redis").json()
        assert elsewhere.enqueued() == (1, 1)
        # As if the process had died between the commit and the enqueue.
        mail.purge()
        shop.ask("UPDATE shop.orders SET job = NULL WHERE id = %s RETURNING id", order["id"])
        repeated = elsewhere.place("redis@example.org", "redis")
        assert (repeated.status_code, repeated.json()["id"]) == (200, order["id"])
        assert elsewhere.enqueued() == (1, 1)
        assert jobs.job(repeated.json()["job"]).state is JobState.READY
    jobs.close()


def test_on_redis_a_transaction_of_ones_own_is_a_clear_error(
    on_redis: dict[str, str], tmp_path: Path
) -> None:
    code = "from examples.shop.tasks import confirm; confirm.options(connection=object()).enqueue(1)"
    (tmp_path / "said").touch()
    with (tmp_path / "said").open("wb") as output:
        assert run("timeit", "-n", "1", "-r", "1", code, output=output, **on_redis).wait(30) == 1
    last = (tmp_path / "said").read_text().splitlines()[-1]
    assert last.startswith("distq.errors.ConfigurationError: connection=: Redis has no transaction")


def test_a_process_that_dies_is_told_in_a_line_and_ctrl_c_ends_all(shop: Shop) -> None:
    everybody = psutil.Process(shop.process.pid).children(recursive=True)
    assert len(everybody) > 8
    assert httpx.get(shop.addresses["dashboard"]).is_success
    (mail,) = (process for process in everybody if "examples.shop.sink" in process.cmdline())
    mail.kill()
    eventually(lambda: "mail has ended, killed by SIGKILL: it said nothing" in shop.said.read_text())
    shop.process.send_signal(signal.SIGINT)
    assert shop.process.wait(20) == 0
    assert gone(everybody)
    assert shop.said.read_text().splitlines()[-1].startswith("Ending")
    assert not Path(shop.addresses["logs"]).parent.exists()


def test_where_the_database_dies_a_line_says_so_and_all_ends(tmp_path: Path) -> None:
    with launched(tmp_path / "said") as shop:
        everybody = psutil.Process(shop.process.pid).children(recursive=True)
        (server,) = (
            child for child in psutil.Process(shop.process.pid).children() if child.name() == "postgres"
        )
        server.send_signal(signal.SIGQUIT)  # SIGKILL would leave a piece of System V memory behind
        assert shop.process.wait(20) == 1
        assert gone(everybody)
        last = shop.said.read_text().splitlines()[-1]
        assert last.startswith("make example: the PostgreSQL server has ended, exit status 0: ")
        assert not Path(shop.addresses["logs"]).parent.exists()


def workers_of(shop: Shop) -> list[psutil.Process]:
    everybody = psutil.Process(shop.process.pid).children(recursive=True)
    return [process for process in everybody if "distq.worker.process" in process.cmdline()]


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").is_success
    except httpx.TransportError:
        return False
