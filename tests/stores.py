"""An application on each store, for tests of what is the same on all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distq import DistQ
from distq.storage import Storage
from tests.world import url_of


@pytest.fixture(params=["memory", "postgres", "redis"])
def app(request: pytest.FixtureRequest) -> Iterator[DistQ]:
    app = DistQ("memory://" if request.param == "memory" else url_of(request, request.param))
    app.storage.migrate()
    yield app
    app.close()


@pytest.fixture
def storage(app: DistQ) -> Storage:
    return app.storage
