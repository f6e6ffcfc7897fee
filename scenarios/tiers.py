"""What a tier of durability asks of the servers, compared with what they say themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from adapters.base import Profile, Service, Tier

_COMMITTED = {"fsync": {"on"}, "full_page_writes": {"on"}, "synchronous_commit": {"on", "remote_apply"}}
_SERVERS: Mapping[Service, Mapping[Tier, Mapping[str, Collection[str]]]] = {
    Service.POSTGRES: {
        "memory": {"synchronous_commit": {"off"}},
        "production": _COMMITTED,
        "strict": _COMMITTED,
    },
    Service.REDIS: {
        "memory": {"appendonly": {"no"}},
        "production": {"appendonly": {"yes"}, "appendfsync": {"everysec"}},
        "strict": {"appendonly": {"yes"}, "appendfsync": {"always"}},
    },
}
_QUEUES: Mapping[Tier, tuple[str, str]] = {
    "memory": ("classic", "transient"),
    "production": ("durable, classic", "persistent"),
    "strict": ("durable, quorum", "persistent"),
}
_WORDS = {"1": "yes", "0": "no"}
"""Where CONFIG is forbidden INFO tells, in numbers."""
NOT_READABLE = "not readable"
"""What a server does not let be seen proves nothing, for or against; the manifest says so."""
_MODES = ("delivery_mode", "task_default_delivery_mode")
_CONFIRMS = ("publisher_confirms", "confirm_publish")


def of_servers(tier: Tier, servers: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Where a server's settings, as it reads them back, are not the tier's: a line each, with what to do."""
    return [
        f"tier {tier}, but {service} has {line}; set it, or name its own tier by --tier"
        for service, settings in servers.items()
        for line in _wrong(_SERVERS.get(Service(service), {}).get(tier, {}), settings)
    ]


def of_contender(tier: Tier, profile: Profile, settings: Mapping[str, str]) -> list[str]:
    """Where what a contender reads back, of its own session or queue, is not the tier's.

    Profile `default` is what a library's first page shows: its messages may be less durable than its server.
    """
    wrong = [
        f"{service}.{line}"
        for service, wanted in _SERVERS.items()
        for line in _wrong(wanted[tier], _own(settings, service))
    ]
    if profile != "default" and "rabbitmq.queue" in settings:
        wrong += _wrong_queue(tier, settings)
    return [f"tier {tier}, but it runs with {line}" for line in wrong]


def _own(settings: Mapping[str, str], service: Service) -> dict[str, str]:
    head = f"{service}."
    return {name.removeprefix(head): value for name, value in settings.items() if name.startswith(head)}


def _wrong(wanted: Mapping[str, Collection[str]], settings: Mapping[str, str]) -> Iterator[str]:
    for name, values in wanted.items():
        told = _WORDS.get(settings.get(name, ""), settings.get(name, ""))
        if told and told not in values and not told.startswith(NOT_READABLE):
            yield f"{name} {told}, not {' or '.join(sorted(values))}"


def _wrong_queue(tier: Tier, settings: Mapping[str, str]) -> Iterator[str]:
    queue, mode = _QUEUES[tier]
    if queue not in settings["rabbitmq.queue"]:
        yield f"rabbitmq.queue {settings['rabbitmq.queue']}, not {queue}"
    for name in _MODES:
        if settings.get(name, mode) != mode:
            yield f"{name} {settings[name]}, not {mode}"
    for name in _CONFIRMS:
        if tier != "memory" and settings.get(name, "True") != "True":
            yield f"{name} {settings[name]}"
