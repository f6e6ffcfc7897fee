"""Storages and applications for the tests of the command line.

Fixtures are imported as themselves, `import storage as storage`: tests name them as parameters.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distq.connect import connect
from distq.storage import Storage
from tests.contract.steps import make
from tests.world import url_of

APP = """
from distq import DistQ
app = DistQ({url!r})
number = 5

@app.task(name="add", queue="mail", priority=4)
def add(a: int, b: int = 1) -> int:
    return a + b
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTQ_URL", raising=False)


@pytest.fixture
def schema_url(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL that is not migrated."""
    return url_of(request, "postgres")


@pytest.fixture(params=["postgres", "redis"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A storage that is ready, and in the environment."""
    url = url_of(request, request.param)
    storage = connect(url)
    storage.migrate()
    storage.close()
    monkeypatch.setenv("DISTQ_URL", url)
    return url


@pytest.fixture
def storage(url: str) -> Iterator[Storage]:
    storage = connect(url)
    yield storage
    storage.close()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes an application for a URL into the current directory, and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(url: str, text: str = APP) -> str:
        name = f"jobs_{uuid.uuid4().hex[:8]}"
        (tmp_path / f"{name}.py").write_text(text.format(url=url))
        return name

    return write


def new_id() -> str:
    return make()[0].id
