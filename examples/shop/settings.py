"""What the shop is told by its environment; `make example` sets it all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from distq import ConfigurationError


@dataclass(frozen=True)
class Settings:
    """The same in every process of the shop."""

    jobs: str
    """Where distq keeps the jobs: DISTQ_URL."""
    database: str
    """The PostgreSQL that has the shop's own tables: SHOP_DATABASE."""
    smtp_port: int
    """Where the mail server listens on this machine: SHOP_SMTP_PORT."""
    mails: Path
    """The Maildir in which it puts what it takes: SHOP_MAILS."""
    report: str
    """When the report is made besides each midnight, as a cron expression: SHOP_REPORT."""

    @property
    def one_database(self) -> bool:
        """Whether one transaction takes orders and jobs. On Redis the jobs follow after the commit."""
        return self.jobs.startswith(("postgresql:", "postgres:"))


def read() -> Settings:
    """The settings. Raises ConfigurationError for what is missing."""
    return Settings(
        jobs=_variable("DISTQ_URL"),
        database=_variable("SHOP_DATABASE"),
        smtp_port=int(_variable("SHOP_SMTP_PORT")),
        mails=Path(_variable("SHOP_MAILS")),
        report=os.environ.get("SHOP_REPORT", "* * * * *"),
    )


def _variable(name: str) -> str:
    if value := os.environ.get(name):
        return value
    raise ConfigurationError(f"{name} is not set: `make example` sets it, else see examples/shop/README.md")


settings = read()
