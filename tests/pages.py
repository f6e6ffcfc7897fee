"""A page of the documentation, run as a reader runs it, block by block.

* `python` runs here, all blocks of a page in one namespace. `# → 3` behind an expression says what it gives.
  A block that begins with `# shop.py` is added to that file instead, which the others, commands and workers
  import; a worker of that file is started again. So is what begins with the name of a `toml` file.
* `console` has commands, after `$ `, and what they print. A `distq worker` goes on beside the page, until a
  line `^C`, and a `distq serve` to the end; with `--burst`, and all other commands, are waited for. One that
  fails says so by its status.
* `ini` is a unit of systemd; distq must take its command.

In what is shown, ids, names of workers, times and durations need only be alike, and one id be the same job
everywhere; `…` stands for anything. What stands in `<!-- code: python … -->` is run and not shown.
"""

from __future__ import annotations

import ast
import configparser
import importlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser
from typer.main import get_command

from distq import DistQ
from distq.cli import cli, main
from tests.helpers import eventually
from tests.likeness import Likeness

_FILE = re.compile(r"# ([a-z_]+\.(?:py|toml))\n")
_VALUE = re.compile(r" +# (?:.* )?→ (.+)")
_PLACE = re.compile(r"\?(?:schema|prefix)=(\w+)")
_SHELL = re.compile(r"[|&;<>]")
_STATUS = ' || echo "status $?"'

#: Else the plugins of this environment are loaded too, which takes seconds.
_PYTEST = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "-p distq.pytest_plugin",
    "COLUMNS": "200",
}


class _Checked(ast.NodeTransformer):
    """Lets each expression that is followed by `# → value` be compared with that."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        rest = self._lines[(node.end_lineno or 0) - 1].encode()[node.end_col_offset or 0 :].decode()
        if not (value := _VALUE.fullmatch(rest)):
            return node
        shown = ast.Call(ast.Name("__shown__", ast.Load()), [ast.Constant(value[1]), node.value], [])
        return ast.copy_location(ast.Expr(shown), node)


class Page:
    """A page, and the workers that its commands start."""

    def __init__(
        self, path: Path, directory: Path, urls: Mapping[str, str], patch: pytest.MonkeyPatch
    ) -> None:
        """`urls` has, by what the page calls them, the storages to use."""
        evaluators = {"python": self._python, "console": self._console, "toml": self._toml, "ini": self._unit}
        kinds = re.findall(r"^```(.*)$", path.read_text(), re.MULTILINE)[::2]
        assert evaluators.keys() >= set(kinds), f"blocks that are not run: {set(kinds) - evaluators.keys()}"
        parsers = [CodeBlockParser(language, evaluator) for language, evaluator in evaluators.items()]
        self._document = Sybil(parsers, path=str(path.parent)).parse(path)
        self._document.namespace.update(eventually=eventually)
        self._directory, self._urls, self._patch = directory, urls, patch
        places = [(match[1], "distq") for url in urls.values() if (match := _PLACE.search(url))]
        self._likeness = Likeness(dict([(f"{directory}/", ""), *places]))
        self._pool: subprocess.Popen[bytes] | None = None
        self._pools: list[subprocess.Popen[bytes]] = []
        self._served = ""
        # Else pydantic imports all of logfire in each process, which takes as long as the rest.
        patch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")
        patch.chdir(directory)
        patch.syspath_prepend(str(directory))

    def run(self) -> int:
        """Run all blocks, in order. Returns how many; raises where one does not do what is shown."""
        modules = set(sys.modules)
        examples = list(self._document.examples())
        try:
            for example in examples:
                self._evaluate(example)
        finally:
            for pool in self._pools:
                end(pool)
            mine = [name for name in sys.modules if name not in modules and self._owns(sys.modules[name])]
            for space in [self._document.namespace, *(vars(sys.modules.pop(name)) for name in mine)]:
                for app in [value for value in space.values() if isinstance(value, DistQ)]:
                    app.close()
        return len(examples)

    def _evaluate(self, example: Example) -> None:
        try:
            example.evaluate()
        except Exception as error:
            error.add_note(f"in the block at {Path(example.path).name}, line {example.line}")
            raise

    def _owns(self, module: Any) -> bool:
        return str(getattr(module, "__file__", None)).startswith(str(self._directory))

    # -- python ------------------------------------------------------------------------------------

    def _python(self, example: Example) -> None:
        source = self._real(example.parsed)
        if named := _FILE.match(source):
            self._add(named[1], source)
            return
        padded = "\n" * example.line + source
        tree = _Checked(padded.splitlines()).visit(ast.parse(padded, example.path))
        example.namespace["__shown__"] = lambda shown, value: self._likeness.check(shown, repr(value))
        exec(compile(ast.fix_missing_locations(tree), example.path, "exec"), example.namespace)

    def _add(self, name: str, source: str) -> None:
        path, module = self._directory / name, sys.modules.get(name.removesuffix(".py"))
        before = path.read_text() if path.exists() else ""
        path.write_text(f"{before}{source}\n")
        importlib.invalidate_caches()
        if module and self._owns(module):
            tree = ast.parse(source, str(path))
            ast.increment_lineno(tree, before.count("\n"))
            exec(compile(tree, str(path), "exec"), vars(module))
        if self._pool and f" {name.removesuffix('.py')}:" in self._served:
            self._start(self._served)

    def _toml(self, example: Example) -> None:
        named = _FILE.match(example.parsed)
        assert named, "the block's first line must be the name of its file"
        (self._directory / named[1]).write_text(example.parsed)

    # -- console -----------------------------------------------------------------------------------

    def _console(self, example: Example) -> None:
        head, *steps = re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)
        assert not head.strip(), "the block must begin with a command"
        for step in steps:
            command, _, shown = step.partition("\n")
            if command.startswith("distq worker ") and "--burst" not in command:
                self._worker(self._real(command), shown.rstrip())
            elif command.startswith("distq serve "):
                self._says(self._beside(self._real(command)), shown.rstrip())
            else:
                self._likeness.check(shown.rstrip(), self._output(self._real(command)).rstrip())

    def _output(self, command: str) -> str:
        if exported := re.fullmatch(r"export (\w+)=(\S+)", command):
            self._patch.setenv(exported[1], exported[2])
            return ""
        failing = command.endswith(_STATUS)
        plain = command.removesuffix(_STATUS)
        if plain.startswith("distq ") and not plain.startswith("distq worker ") and not _SHELL.search(plain):
            said, status = _distq(shlex.split(plain)[1:])
        else:
            said, status = _shell(plain)
        assert bool(status) == failing, f"{command}: status {status}\n{said}"
        return f"{said}status {status}\n" if failing else said

    def _worker(self, command: str, shown: str) -> None:
        interrupted = shown.endswith("^C")
        log = self._start(command)
        self._says(log, shown.removesuffix("^C"))
        if interrupted:
            self._stop(signal.SIGINT)

    def _says(self, log: Path, shown: str) -> None:
        """Wait until what goes on beside the page has said what is shown."""
        shown = "\n".join([*shown.splitlines(), "…"])
        with suppress(AssertionError):  # then the check tells more
            eventually(lambda: self._likeness.holds(shown, log.read_text()), timeout=20)
        self._likeness.check(shown, log.read_text())

    def _start(self, command: str) -> Path:
        self._stop(signal.SIGTERM)
        self._served = command
        log = self._beside(command)
        self._pool = self._pools[-1]
        return log

    def _beside(self, command: str) -> Path:
        """Start a command that goes on beside the page. Returns where it writes."""
        log = self._directory / f"beside{len(self._pools)}.log"
        with log.open("wb") as file:
            argv = [sys.executable, "-m", *shlex.split(command)]
            self._pools.append(subprocess.Popen(argv, stdout=file, stderr=file, start_new_session=True))
        return log

    def _stop(self, number: signal.Signals) -> None:
        """End the worker processes. That takes a moment; their supervisor is waited for at the end."""
        if self._pool:
            workers = psutil.Process(self._pool.pid).children()
            os.killpg(self._pool.pid, number)
            psutil.wait_procs(workers, timeout=20)
            self._pool = None

    def _unit(self, example: Example) -> None:
        unit = configparser.ConfigParser()
        unit.read_string(example.parsed)
        program, command, *arguments = shlex.split(unit["Service"]["ExecStart"])
        assert Path(program).name == "distq"
        get_command(cli).commands[command].make_context(command, arguments)  # pyright: ignore

    def _real(self, text: str) -> str:
        """What a reader would type, with this run's storages and jobs."""
        for shown, real in self._urls.items():
            text = re.sub(rf"{re.escape(shown)}(?![\w/?])", real, text)
            text = text.replace(f"{shown}?", f"{real}&")
        return self._likeness.real(text)


def _distq(arguments: list[str]) -> tuple[str, int]:
    """What a command prints, and its status; in this process, as that takes a tenth of the time."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as left:
        main(arguments)
    return said.getvalue(), int(left.value.code or 0)


def _shell(command: str) -> tuple[str, int]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, **_PYTEST, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.stdout, done.returncode


def end(pool: subprocess.Popen[bytes]) -> None:
    """Let nothing be left of a pool."""
    if pool.poll() is None:
        os.killpg(pool.pid, signal.SIGKILL)
    pool.wait()
