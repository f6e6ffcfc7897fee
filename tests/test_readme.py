"""The README's commands and code, run as a newcomer runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
URL = "postgresql://localhost/app"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_the_first_twenty_lines_work(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    option = {"postgres": "schema", "redis": "prefix"}[store]
    url = f"{request.getfixturevalue(f'{store}_url')}?{option}=r{uuid.uuid4().hex[:12]}"
    declare, use = (block.replace(URL, url) for block in blocks())
    (tmp_path / "jobs.py").write_text(declare)
    (tmp_path / "use.py").write_text(use + "\nprint(job.state, job.result())\n")
    environment = {**os.environ, "DISTQ_URL": url}
    distq = [sys.executable, "-m", "distq"]
    subprocess.run([*distq, "migrate"], env=environment, cwd=tmp_path, check=True)
    pool = subprocess.Popen([*distq, "worker", "jobs:app", "--processes", "2"], cwd=tmp_path)
    use_it = [sys.executable, "use.py"]
    done = subprocess.run(use_it, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    pool.send_signal(signal.SIGTERM)
    assert pool.wait(20) == 0
    assert (done.stdout, done.stderr) == ("done 2\n", "")


def test_the_commands_it_names_are_there() -> None:
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z]+)", text, re.MULTILINE)) <= targets
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / path).exists(), path
