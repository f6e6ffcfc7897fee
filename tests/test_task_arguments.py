"""What arguments and results become on their way."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from distq import ConfigurationError, DistQ, InvalidArguments, InvalidResult
from distq.messages import NO_HEADERS, encode_payload
from distq.signature import Signature
from tests.working import app as app
from tests.working import work


class Colour(StrEnum):
    RED = "red"


class Order(BaseModel):
    lines: list[int]
    at: datetime


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


def everything(
    order: Order,
    /,
    when: datetime,
    raw: bytes,
    *,
    colour: Colour,
    ids: set[UUID],
    point: Point,
    pair: tuple[int, str] = (1, "a"),
    missing: int | None = None,
    **extra: int,
) -> Order: ...


def test_arguments_survive_the_journey_with_their_types() -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    ids = {UUID(int=1), UUID(int=2)}
    signature = Signature("t", everything)
    named: dict[str, Any] = {"colour": Colour.RED, "ids": ids, "point": Point(1.5), "extra": 7}
    arguments = signature.encode((Order(lines=[1], at=now), now, b"\x00\xff"), named)
    payload = encode_payload(NO_HEADERS, arguments)
    args, kwargs = signature.decode(payload)
    bound = {**dict(zip(["order", "when", "raw"], args, strict=True)), **kwargs}
    assert bound == {
        "order": Order(lines=[1], at=now),
        "when": now,
        "raw": b"\x00\xff",
        "pair": (1, "a"),
        "missing": None,
        **named,
    }


def test_arguments_are_coerced_where_pydantic_does() -> None:
    def task(n: int, at: datetime) -> None: ...

    signature = Signature("t", task)
    args, _ = signature.decode(
        encode_payload(NO_HEADERS, signature.encode(("5", "2026-11-24T12:00:00Z"), {}))
    )
    assert args == (5, datetime(2026, 11, 24, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "a: Missing required argument"),
        (("x",), {}, "a: Input should be a valid integer"),
        ((1, 2, 3), {}, "Unexpected positional argument"),
        ((1,), {"c": 1}, "c: Unexpected keyword argument"),
        ((1,), {"a": 1}, "a: Got multiple values"),
    ],
)
def test_a_wrong_call_is_refused_with_the_place(args: Any, kwargs: Any, words: str) -> None:
    def task(a: int, b: str = "") -> None: ...

    with pytest.raises(InvalidArguments, match=words):
        Signature("t", task).encode(args, kwargs)


def test_what_json_cannot_hold_is_refused() -> None:
    def anything(a: Any) -> None: ...

    class Opaque: ...

    def opaque(a: Opaque) -> None: ...

    with pytest.raises(InvalidArguments, match="Unable to serialize"):
        Signature("t", anything).encode((object(),), {})
    with pytest.raises(ConfigurationError, match="cannot be enqueued"):
        Signature("t", opaque).encode((Opaque(),), {})


def test_a_result_has_the_type_of_the_annotation(app: DistQ) -> None:
    @app.task
    def point(x: float) -> Point:
        return Point(x)

    @app.task
    def model(n: int) -> Order:
        return Order(lines=[n], at=datetime(2026, 1, 1, tzinfo=UTC))

    @app.task
    def untyped(n):  # pyright: ignore[reportMissingParameterType]
        return {"n": n}

    jobs = [point.enqueue(2), model.enqueue(3), untyped.enqueue(4)]
    work(app)
    assert jobs[0].result() == Point(2.0)
    assert jobs[1].result() == Order(lines=[3], at=datetime(2026, 1, 1, tzinfo=UTC))
    assert jobs[2].result() == {"n": 4}


class Opaque: ...


def test_a_result_that_does_not_fit_the_annotation_is_a_clear_error(app: DistQ) -> None:
    @app.task(name="point")
    def point() -> Point:
        return {"x": "far"}  # pyright: ignore[reportReturnType]

    def opaque() -> Opaque | None: ...

    jobs = [point.enqueue(), app.task(name="opaque")(opaque).enqueue()]
    work(app)
    with pytest.raises(
        InvalidResult, match=r"does not fit .* of task 'point': x: Input should be a valid num"
    ):
        jobs[0].result()
    with pytest.raises(InvalidResult):
        asyncio.run(jobs[0].aresult())
    with pytest.raises(ConfigurationError, match="task 'opaque' has a return annotation that cannot be read"):
        jobs[1].result()
