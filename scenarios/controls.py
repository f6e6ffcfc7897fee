"""The A/A control by name: a contender that runs a second time under another name."""

from __future__ import annotations

CONTROL = "~2"
"""What the name of a control ends with."""


def is_control(contender: str) -> bool:
    """Whether this is a second run of another contender: no contender of its own, in no ranking."""
    return contender.endswith(CONTROL)


def original(contender: str) -> str:
    """The contender that a control runs again; of any other, itself."""
    return contender.removesuffix(CONTROL)
