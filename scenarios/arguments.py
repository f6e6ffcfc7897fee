"""The values of the runner's options: each a function from text, which raises ArgumentTypeError."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import TypeVar, get_args

from adapters.base import Profile
from adapters.registry import REGISTRY, UnknownAdapter
from scenarios.slo import Slo
from scenarios.work import parse_work
from scenarios.workload import WARM_UP, Disturbance

LONGEST_DEADLINE_S = 86_400.0
LARGEST_PAYLOAD = 16 * 2**20
"""RabbitMQ takes no larger message."""
LARGEST_SEED = 2**31 - 1
T = TypeVar("T")


def whole(least: int, most: int) -> Callable[[str], int]:
    """A whole number within these bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= most):
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def each(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Values with commas between them; a value that comes again is left out."""
    return lambda text: tuple(dict.fromkeys(parse(part.strip()) for part in text.split(",")))


seed = whole(0, LARGEST_SEED)
payload = whole(0, LARGEST_PAYLOAD)
positive = whole(1, 10_000)
jobs = whole(1, WARM_UP - 1)
behind = whole(0, WARM_UP - 1)


def seconds(text: str) -> float:
    """`10` or `10s`."""
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST_DEADLINE_S:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0, of a day at most")
    return value


def rate(text: str) -> float:
    """Jobs a second."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 1e6:
        raise ArgumentTypeError(f"{text!r} is not a number of jobs a second from 0.1 to 1,000,000")
    return value


def work(text: str) -> str:
    """What `work.parse_work` understands."""
    try:
        parse_work(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is none of noop, sleep:MS and cpu:MS") from None
    return text


def slo(text: str) -> str:
    """What `Slo.parse` understands."""
    try:
        Slo.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def profile(text: str) -> Profile:
    """The name of a profile."""
    for known in get_args(Profile):
        if text == known:
            return known
    raise ArgumentTypeError(f"{text!r} is none of {', '.join(get_args(Profile))}")


def disturbance(text: str) -> Disturbance:
    """The name of a disturbance."""
    for known in get_args(Disturbance):
        if text == known:
            return known
    raise ArgumentTypeError(f"{text!r} is none of {', '.join(get_args(Disturbance))}")


def adapters(text: str) -> list[str] | None:
    """The contenders that are named; None for all."""
    if text == "all":
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ArgumentTypeError("no contender is named; --list prints them")
    for name in names:
        if name not in REGISTRY:
            raise ArgumentTypeError(str(UnknownAdapter(name)))
    return list(dict.fromkeys(names))
