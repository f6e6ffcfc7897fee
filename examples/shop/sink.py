"""A mail server that delivers nothing: `python -m examples.shop.sink PORT DIRECTORY`.

It puts what it takes into a Maildir, the latest `KEPT`. The address says what else it does: who sends to
`later-2@…` is told twice to come again, and `nobody@…` never gets anything.
"""

from __future__ import annotations

import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox

from examples.shop import inbox

KEPT = 500


class Sink(Mailbox):
    """Takes mails, or does not, as the recipient's address says."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._refused: Counter[str] = Counter()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        recipient = envelope.rcpt_tos[0]
        if recipient.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        asked = re.match(r"later-(\d+)@", recipient)
        mail = str(self.prepare_message(session, envelope)["Message-ID"])
        if asked and self._refused[mail] < int(asked[1]):
            self._refused[mail] += 1
            return "451 4.7.1 come again later"
        self._refused.pop(mail, None)
        answer = await super().handle_DATA(server, session, envelope)
        self._forget_old()
        return answer

    def _forget_old(self) -> None:
        for path in inbox.arrived(Path(self.mail_dir))[:-KEPT]:
            path.unlink()


def main(port: str, directory: str) -> None:
    """Take mails until SIGTERM or Ctrl-C."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = Controller(Sink(Path(directory)), hostname="127.0.0.1", port=int(port))
    server.start()
    signal.sigwait(signals)
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
