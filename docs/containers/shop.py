"""What the profile `distq` of compose.yaml runs until it is given another application."""

from __future__ import annotations

import os

from distq import DistQ

app = DistQ(os.environ["DISTQ_URL"])


@app.task(queue="mail", timeout=30)
def send(to: str, subject: str) -> int:
    """Sends nothing."""
    if "@" not in to:
        raise ValueError("no @ in the address")
    return len(subject)
