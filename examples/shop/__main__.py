"""`python -m examples.shop`."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Start the whole shop. Until there is something to end, Ctrl-C ends without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from examples.shop import whole

    return whole.main()


if __name__ == "__main__":
    sys.exit(main())
