"""What a tier asks of servers and contenders, held against what they say themselves."""

from __future__ import annotations

import pytest

from adapters.base import Service, Tier
from scenarios import tiers
from scenarios.servers import Servers
from tests.conftest import RunScenario

POSTGRES = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
REDIS = {"appendonly": "yes", "appendfsync": "everysec"}


@pytest.mark.parametrize("tier", ["memory", "production", "strict"])
def test_private_servers_are_what_their_tier_says(tier: Tier) -> None:
    with Servers(needs=frozenset({Service.POSTGRES, Service.REDIS}), tier=tier) as servers:
        described = servers.describe()
        assert tiers.of_servers(tier, described) == []
        others: set[Tier] = {"memory", "production", "strict"} - {tier}
        assert all(tiers.of_servers(other, described) for other in others)


@pytest.mark.parametrize(
    ("service", "settings", "said"),
    [
        (
            "postgres",
            POSTGRES | {"synchronous_commit": "off"},
            "synchronous_commit off, not on or remote_apply",
        ),
        ("postgres", POSTGRES | {"fsync": "off"}, "fsync off, not on"),
        ("redis", REDIS | {"appendfsync": "no"}, "appendfsync no, not everysec"),
        ("redis", {"appendonly": "no"}, "appendonly no, not yes"),
    ],
)
def test_a_server_that_is_less_durable_is_named(service: str, settings: dict[str, str], said: str) -> None:
    (line,) = tiers.of_servers("production", {service: settings})
    assert line == f"tier production, but {service} has {said}; set it, or name its own tier by --tier"


def test_what_a_server_does_not_let_be_seen_proves_nothing() -> None:
    hidden = {"appendonly": "not readable: NOPERM", "appendfsync": "not readable: NOPERM"}
    assert tiers.of_servers("production", {"redis": hidden}) == []
    assert tiers.of_contender("production", "matched", {"redis.appendonly": "1"}) == []
    assert tiers.of_contender("memory", "matched", {"redis.appendonly": "1"})


QUEUE = {"rabbitmq.queue": "durable, classic", "delivery_mode": "persistent", "publisher_confirms": "True"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"rabbitmq.queue": "classic"}, "rabbitmq.queue classic"),
        ({"delivery_mode": "transient"}, "delivery_mode transient"),
        ({"publisher_confirms": "False"}, "publisher_confirms False"),
        ({"postgres.synchronous_commit": "off"}, "postgres.synchronous_commit off"),
        ({"redis.appendfsync": "always"}, "redis.appendfsync always"),
    ],
)
def test_a_contender_that_is_less_durable_than_its_tier_fails(
    changed: dict[str, str], said: str | None
) -> None:
    wrong = tiers.of_contender("production", "matched", QUEUE | changed)
    assert [said in line for line in wrong] == ([True] if said else [])


def test_the_first_page_of_a_library_may_send_without_confirms() -> None:
    assert tiers.of_contender("production", "default", QUEUE | {"publisher_confirms": "False"}) == []
    assert tiers.of_contender("production", "default", {"redis.appendonly": "no"})


def test_a_run_on_a_server_of_another_tier_does_not_begin(postgres_url: str, run: RunScenario) -> None:
    status, said = run("--tier", "memory", "--adapters", "raw-postgres", "--postgres-url", postgres_url)
    assert status == 2
    assert "tier memory, but postgres has synchronous_commit on, not off; set it" in said
