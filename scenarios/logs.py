"""What processes said before they ended."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import shorten

_TELLING = re.compile("error|exception|fatal|fail|denied|refused|killed", re.IGNORECASE)
_LONGEST = 240


def last_words(log: Path) -> str:
    """A log's last line that tells of trouble, else its last line; shortened."""
    lines = [line.strip() for line in read(log).splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return one_line((telling or lines or ["it said nothing"])[-1])


def one_line(text: str) -> str:
    """A text as one line of bearable length."""
    return shorten(text, _LONGEST, placeholder=" …")


def read(log: Path) -> str:
    """All that a log holds; a process that never began left none."""
    return log.read_text(errors="replace") if log.exists() else ""
