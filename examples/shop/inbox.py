"""What the mail server has taken: a Maildir, read by whoever wants to see the mails."""

from __future__ import annotations

import re
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from pydantic import BaseModel


class Mail(BaseModel):
    """A mail that has arrived."""

    to: str
    subject: str
    text: str
    message_id: str


def latest(directory: Path, limit: int) -> list[Mail]:
    """The latest mails, the last first."""
    return [_read(path.read_bytes()) for path in reversed(arrived(directory)[-limit:]) if path.exists()]


def arrived(directory: Path) -> list[Path]:
    """The mails' files, in the order of their arrival."""
    return sorted((directory / "new").glob("*"), key=_moment)


def _moment(path: Path) -> list[int]:
    """Seconds and microseconds, with which a file's name begins: `1785571200.M123P45Q6.host`."""
    return [int(number) for number in re.findall(r"\d+", path.name)[:2]]


def _read(content: bytes) -> Mail:
    mail = BytesParser(EmailMessage, policy=policy.default).parsebytes(content)
    return Mail(
        to=mail["To"], subject=mail["Subject"], text=mail.get_content(), message_id=mail["Message-ID"]
    )
