"""Whether what was said is what a page shows, where ids, times and the like differ from run to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import unified_diff

_JOB = r"[A-Za-z0-9_.-]+:[0-9a-f]{32}"
_LIKE = (
    r"[A-Za-z0-9_.-]+:[0-9a-f]{8}(?![0-9a-f])",  # a worker
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d{3})?",
    r"\b\d+(?:\.\d+)? ?(?:d|h|min|s)\b(?: \d+ (?:h|min|s)\b)?",
    r"(?:PostgreSQL|Redis|Valkey) \d+(?:\.\d+)*",
    r"\b\d[\d,]* of \d[\d,]*",
    r" +",
)
_TOKENS = re.compile("|".join([f"(?P<job>{_JOB})", r"(?P<any>…)", *_LIKE]))


class Likeness:
    """What a page shows and what its run says, of the same jobs and the same places."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` has what the page calls the run's places."""
        self._names = names
        self._ids: dict[str, str] = {}
        """The run's jobs, by the page's."""

    def real(self, text: str) -> str:
        """The page's text with the run's jobs."""
        return re.sub(_JOB, lambda match: self._ids.get(match[0], match[0]), text)

    def holds(self, shown: str, said: str) -> bool:
        """Whether it is as shown. A job that is shown for the first time is from then on the one said."""
        for place, name in self._names.items():
            said = said.replace(place, name)
        jobs: list[str] = []
        found = re.fullmatch(self._pattern(shown, jobs), said)
        if found:
            self._ids |= {job: found[f"job{number}"] for number, job in enumerate(jobs)}
        return bool(found)

    def check(self, shown: str, said: str) -> None:
        """Raise AssertionError, with the difference, where it is not as shown."""
        if not self.holds(shown, said):
            lines = unified_diff(shown.splitlines(), said.splitlines(), "shown", "said", lineterm="")
            raise AssertionError("it is not as shown\n" + "\n".join(lines))

    def _pattern(self, shown: str, jobs: list[str]) -> str:
        """A regular expression for what is shown. Jobs that are new are added to `jobs`."""
        parts, at = [], 0
        for token in _TOKENS.finditer(shown):
            parts += [re.escape(shown[at : token.start()]), self._like(token, jobs)]
            at = token.end()
        return "".join([*parts, re.escape(shown[at:])])

    def _like(self, token: re.Match[str], jobs: list[str]) -> str:
        job = token["job"]
        if token["any"]:
            return "(?s:.*?)"
        if job is None:
            return next(f"(?:{like})" for like in _LIKE if re.fullmatch(like, token[0]))
        if job in self._ids:
            return re.escape(self._ids[job])
        if job in jobs:
            return f"(?P=job{jobs.index(job)})"
        jobs.append(job)
        return f"(?P<job{len(jobs) - 1}>{_JOB})"
