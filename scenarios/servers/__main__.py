"""A PostgreSQL and a Redis to try distq with, until Ctrl-C: `python -m scenarios.servers`."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress

from adapters.base import Service
from scenarios.servers import Servers


def main() -> None:
    """Start them, print how to reach them, wait. Nothing of them is left then."""
    with suppress(KeyboardInterrupt), Servers(needs={Service.POSTGRES, Service.REDIS}) as servers:
        print(*servers.unavailable.values(), sep="\n", end="", file=sys.stderr)
        print(*(f"export DISTQ_URL={url}" for url in servers.urls.values()), sep="\n")
        print("Take one of them in another terminal; Ctrl-C here ends both and forgets all.", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
