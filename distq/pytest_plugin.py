"""A pytest plugin for those who use distq: `distq_app`, `distq_worker` and `distq_clock`.

Name your app in pytest's configuration, `distq_app = "shop.jobs:app"`: for each test it is moved to a memory
storage of its own. Without that setting each test has a new app.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from distq import DistQ
    from distq.testing import Clock, TestWorker


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting `distq_app`."""
    parser.addini("distq_app", "distq: the application of the fixture distq_app, as module:attribute")


@pytest.fixture
def distq_clock() -> Clock:
    """The clock of the test's storage; `distq_worker.advance(seconds)` moves it."""
    from distq.testing import Clock

    return Clock()


@pytest.fixture
def distq_app(request: pytest.FixtureRequest, distq_clock: Clock) -> Iterator[DistQ]:
    """The app, on an empty storage in memory."""
    from distq import DistQ
    from distq.locate import load_app
    from distq.testing import TestStorage

    reference = request.config.getini("distq_app")
    app = load_app(reference) if reference else DistQ("memory://")
    before = app.storage
    app.move(TestStorage(distq_clock))
    yield app
    app.close()
    app.move(before)


@pytest.fixture
def distq_worker(distq_app: DistQ, distq_clock: Clock) -> TestWorker:
    """Runs the app's jobs: `run()` until none is ready, `advance(seconds)` lets time pass."""
    from distq.testing import TestWorker

    return TestWorker(distq_app, distq_clock)
