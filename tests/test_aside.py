"""Calls in threads of their own: what they give, and which threads they cost."""

from __future__ import annotations

import threading

import pytest

from distq import aside as module
from distq.aside import aside
from tests.helpers import eventually
from tests.test_results import in_child


def test_a_call_gives_what_its_function_gives() -> None:
    assert aside(lambda: 3).result(10) == 3
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 / 0).result(10)


def test_who_waits_does_not_hold_up_others() -> None:
    ready = threading.Event()
    waiting = aside(ready.wait)
    assert aside(lambda: 3).result(10) == 3
    assert not waiting.done()
    ready.set()
    assert waiting.result(10)


def test_threads_are_used_again_and_end_when_nobody_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.2)
    used = {aside(threading.get_ident).result(10) for _ in range(100)}
    assert len(used) == 1
    eventually(lambda: used.isdisjoint(thread.ident for thread in threading.enumerate()))
    assert aside(lambda: 3).result(10) == 3


def test_a_forked_child_has_threads_of_its_own() -> None:
    aside(lambda: 3).result(10)
    assert in_child(lambda: aside(lambda: 4).result(10)) == 4
