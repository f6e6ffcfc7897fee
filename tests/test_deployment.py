"""What docs/operations.md gives to run distq with: rules of alerts, units, containers, a proxy."""

from __future__ import annotations

import configparser
import importlib
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from distq.cli import cli
from distq.job import Presence
from distq.memory.storage import MemoryStorage
from distq.service.routing import LARGEST_BODY
from tests.contract.steps import QUEUE, add
from tests.services import service_on, visiting
from tests.test_docs import anchors, rows

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

Document = dict[str, Any]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTQ_URL", "redis://localhost")


def loaded(path: Path) -> Document:
    return yaml.safe_load(path.read_text())


def takes(command: list[str]) -> None:
    """Assert that distq has such a command, with such options."""
    name, *arguments = command
    get_command(cli).commands[name].make_context(name, arguments)  # pyright: ignore


# -- alerts ----------------------------------------------------------------------------------------------

RULES = [rule for group in loaded(DOCS / "alerts.yml")["groups"] for rule in group["rules"]]

_WORDS = {"and", "or", "unless", "by", "on", "max", "min", "sum", "rate", "increase", "delta", "deriv"} | {
    "absent",
    "min_over_time",
}
_SELECTOR = re.compile(r"([a-z_]+)(?:\{([^}]*)\})?(?:\[(\d+)m\])?")
_MATCHER = re.compile(r'([a-z_]+)(=~|=)"([^"]*)"')


@cache
def measured() -> dict[str, Metric]:
    """What `/metrics` of a service says where there is a bit of everything, and what Prometheus adds."""
    storage = MemoryStorage()
    add(storage)
    presence = Presence("w", "web-1", 1, (QUEUE,), (), tallies={QUEUE: {"done": 1}})
    storage.run(storage.announce(presence))
    with visiting(service_on(storage)) as visitor:
        text = visitor.get("/metrics").raise_for_status().text
    families = list(text_string_to_metric_families(text))
    found = {sample.name: family for family in families for sample in family.samples}
    up = Metric("up", "", "gauge")
    up.add_sample("up", {"job": "distq", "instance": "a"}, 1)
    return found | {"up": up}


def selectors(expression: str) -> Iterator[tuple[str, str, str]]:
    """The names of metrics in an expression, with their matchers and the minutes of their window."""
    without = re.sub(r"\b(?:by|on) \([^)]*\)", "", expression)
    for name, matchers, minutes in _SELECTOR.findall(without):
        if name not in _WORDS:
            yield name, matchers, minutes


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_asks_for_what_is_measured(rule: Document) -> None:
    expression = rule["expr"]
    assert expression.count("(") == expression.count(")")
    found = list(selectors(expression))
    assert found
    for name, matchers, minutes in found:
        samples = [sample for sample in measured()[name].samples if sample.name == name]
        for label, how, values in _MATCHER.findall(matchers):
            known = {sample.labels.get(label) for sample in samples}
            assert set(values.split("|") if how == "=~" else [values]) <= known, (name, label)
        # At one scrape a minute fewer would be no rate, after one that failed.
        assert not minutes or int(minutes) >= 5
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        labels = {
            label for name, *_ in found for sample in measured()[name].samples for label in sample.labels
        }
        assert set(grouped.split(", ")) <= labels | {"job"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_to_do(rule: Document) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    notes = rule["annotations"]
    used = set(re.findall(r"\$labels\.(\w+)", str(notes)))
    assert used <= {
        label for grouped in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in grouped.split(", ")
    }
    page, _, anchor = notes["page"].partition("#")
    assert anchor in anchors(DOCS / page)
    words = shlex.split(re.sub(r"\{\{.*?\}\}", "mail", notes["remedy"]))
    if words[0] == "distq":
        takes(words[1:])


def test_the_page_has_all_alerts() -> None:
    table = rows("docs/operations.md", "| alert | fires when | |")
    assert {name.strip("`"): severity for name, _, severity in table} == {
        rule["alert"]: rule["labels"]["severity"] for rule in RULES
    }


def test_the_page_has_the_expressions_of_the_alerts() -> None:
    shown = re.findall(
        r"^    # (Distq\w+)(?:, for (\w+))?\n((?:    .+\n)+)",
        (DOCS / "operations.md").read_text(),
        re.MULTILINE,
    )
    assert {name: (wait, textwrap.dedent(lines)) for name, wait, lines in shown} == {
        rule["alert"]: (rule.get("for", ""), f"{rule['expr'].strip()}\n") for rule in RULES
    }


def test_an_expression_that_asks_for_something_else_is_noticed() -> None:
    for expression in ("distq_job > 0", 'distq_jobs{state="redy"} > 0', "rate(distq_attempts_total[1m]) > 0"):
        with pytest.raises((AssertionError, KeyError)):
            test_an_alert_asks_for_what_is_measured({"expr": expression})


# -- systemd ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((DOCS / "systemd").iterdir()), ids=lambda path: path.name)
def test_a_unit_starts_distq_and_waits_for_it(path: Path) -> None:
    unit = configparser.RawConfigParser()
    unit.read_string(path.read_text())
    service = unit["Service"]
    program, *command = shlex.split(service["ExecStart"])
    assert Path(program).name == "distq"
    takes(command)
    if command[0] == "worker":
        options = dict(pairwise(command))
        assert service["KillMode"] == "mixed"
        assert service["OOMPolicy"] == "continue"
        assert int(service["TimeoutStopSec"]) >= int(options["--grace"]) + 15
        most = int(options["--processes"]) * int(options["--max-memory"])
        assert int(service["MemoryMax"].removesuffix("G")) * 1024 > most


# -- containers ------------------------------------------------------------------------------------------

SERVICES: Document = loaded(ROOT / "compose.yaml")["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "distq"}


def filled(text: str) -> str:
    """With the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_servers_start_without_distq() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "postgres",
        "redis",
        "rabbitmq",
    }
    assert OURS.keys() == {"migrate", "worker", "dashboard"}


@pytest.mark.parametrize("name", OURS)
def test_a_container_runs_a_command_that_there_is(name: str) -> None:
    takes(shlex.split(filled(OURS[name]["command"])))


def test_containers_wait_for_each_other() -> None:
    assert OURS["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("worker", "dashboard"):
        assert OURS[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
        assert OURS[name]["environment"]["DISTQ_URL"] == OURS["migrate"]["environment"]["DISTQ_URL"]
    assert "postgres" in SERVICES["postgres"]["command"]
    grace = int(re.findall(r"--grace (\d+)", OURS["worker"]["command"])[0])
    assert OURS["worker"]["stop_grace_period"] == f"{grace + 15}s"


def test_nothing_of_containers_is_reached_from_outside() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_application_of_the_containers_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    (mount,) = OURS["worker"]["volumes"]
    directory, inside, _ = filled(mount).rsplit(":", 2)
    assert f"WORKDIR {inside}" in (ROOT / "Dockerfile").read_text()
    monkeypatch.setenv("DISTQ_URL", "memory://")
    monkeypatch.syspath_prepend(str(ROOT / directory))
    module, attribute = filled("${DISTQ_APP:-shop:app}").split(":")
    application = importlib.import_module(module)
    monkeypatch.delitem(sys.modules, module)
    assert getattr(application, attribute).queues == ["mail"]


def test_the_image_is_made_of_what_there_is() -> None:
    text = (ROOT / "Dockerfile").read_text()
    instructions = [shlex.split(line, comments=True) for line in text.splitlines()]
    copied = [
        path for words in instructions if words[:1] == ["COPY"] for path in words[1:-1] if path[0] != "-"
    ]
    ignored = (ROOT / ".dockerignore").read_text().split()
    for path in filter(lambda path: not path.startswith("/"), copied):
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignored, path
    assert 'ENTRYPOINT ["distq"]' in text


# -- the proxy -------------------------------------------------------------------------------------------


def test_the_proxy_passes_what_the_service_needs() -> None:
    text = (DOCS / "nginx" / "distq.conf").read_text()
    assert text.count("{") == text.count("}")
    for line in (
        "proxy_set_header Host $http_host;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_buffering off;",
        f"client_max_body_size {LARGEST_BODY // 2**20}m;",
    ):
        assert line in text
