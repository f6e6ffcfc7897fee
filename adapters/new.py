"""`python -m adapters.new NAME`: a new contender that works as it stands, its test, its line in the registry.

Exit status: 0; 2 where nothing was written, with one line that says why.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from adapters.registry import REGISTRY
from scenarios.usage import Parser

PROGRAM = "python -m adapters.new"

ROOT = Path(__file__).resolve().parent.parent
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
_TABLE = re.compile(r"(?<=^REGISTRY: dict\[str, str\] = \{\n)(.*?)(?=^\}$)", re.MULTILINE | re.DOTALL)

_NEXT = """\
adapters/$module.py, tests/test_$module.py and a line in adapters/registry.py are there. Next:

  python -m adapters.check $name
      it conforms as it is; see after each step that it still does
  adapters/$module.py
      replace what touches files by calls of your library, method by method
  docs/adapters.md, tests/test_adapters.py
      add its promises to the table; add its name to AT_MOST_ONCE where it may lose a job
  pyproject.toml
      add adapters.$module to the contract "each contender stands alone"
  python -m pytest tests/test_$module.py && python -m pytest tests/test_adapters.py -k $name
  python -m scenarios.run --jobs 1000 --adapters $name,null\
"""


class Refused(Exception):
    """Nothing is written; the message is one line: what is wrong, what to do."""


def main(words: Sequence[str] | None = None) -> int:
    """Write the files. Returns the exit status."""
    parser = Parser(prog=PROGRAM, description="Write a new contender and its test.", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="as tables show it, e.g. huey-sqlite")
    name = parser.parse_args(words).name
    try:
        values = _values(name)
        _write(_files(values))
    except Refused as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{PROGRAM}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(Template(_NEXT).substitute(values))
    return 0


def _values(name: str) -> dict[str, str]:
    """What the templates ask for. Raises Refused."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        form = f"small letters and digits, with - between them, {_LONGEST} at most, a letter first"
        raise Refused(f"{name!r} is no name for a contender: {form}")
    module = name.replace("-", "_")
    if name in REGISTRY or keyword.iskeyword(module):
        raise Refused(f"{name!r} is taken: choose another name")
    return {
        "name": name,
        "module": module,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
    }


def _files(values: Mapping[str, str]) -> dict[Path, str]:
    """New files and the registry, whole. Raises Refused."""
    module, registry = values["module"], ROOT / "adapters" / "registry.py"
    files = {
        ROOT / "adapters" / f"{module}.py": "contender.txt",
        ROOT / "tests" / f"test_{module}.py": "test.txt",
    }
    for path in (*files, ROOT / "adapters" / module):
        if path.exists():
            raise Refused(f"{path.relative_to(ROOT)} is there already: choose another name")
    if not (ROOT / "tests").is_dir():
        raise Refused(f"{ROOT} has no tests: run this in a copy of the repository")
    table = registry.read_text()
    line = f'    "{values["name"]}": "adapters.{module}:{values["class_name"]}",\n'
    longer, found = _TABLE.subn(lambda rows: rows[0] + line, table)
    if found != 1:
        raise Refused("adapters/registry.py has no REGISTRY to which a line could be added")
    templates = ROOT / "adapters" / "templates"
    texts = {path: (templates / template).read_text() for path, template in files.items()}
    return {path: Template(text).substitute(values) for path, text in texts.items()} | {registry: longer}


def _write(files: Mapping[Path, str]) -> None:
    """Write all of them, or none."""
    drafts = {path: path.with_name(f"{path.name}.draft") for path in files}
    try:
        for path, text in files.items():
            drafts[path].write_text(text)
        for path, draft in drafts.items():
            os.replace(draft, path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
