"""What a page says of what was just done: from figures in its address, so no address can say more."""

from __future__ import annotations

from collections.abc import Mapping

from distq.admin.wording import plural

_DONE = {"replay": "ready again", "cancel": "cancelled", "purge": "forgotten"}
_LEFT = {
    "replay": "not: another job has their key, or they were neither dead nor cancelled",
    "cancel": "not: they had ended before",
    "purge": "not: a worker holds them, or they were gone before",
}


def note_of(query: Mapping[str, str]) -> str:
    """The sentence; empty where nothing was done."""
    action = query.get("did", "")
    if action not in _DONE:
        return ""
    if "under_way" in query:
        return "It takes a while, and goes on by itself. The audit says how it went."
    done, asked, left = (_number(query.get(name, "")) for name in ("done", "asked", "left"))
    parts: list[str] = []
    if done or not asked:
        parts.append(f"{plural(done, 'job')} {'is' if done == 1 else 'are'} {_DONE[action]}")
    if asked:
        parts.append(f"{plural(asked, 'job')} that ran {'was' if asked == 1 else 'were'} asked to end")
    if left:
        parts.append(f"{left:,} {'is' if left == 1 else 'are'} {_LEFT[action]}")
    return f"{'; '.join(parts)}."


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 13 else 0
