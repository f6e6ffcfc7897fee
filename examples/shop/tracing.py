"""Logfire: one trace leads from a request through each attempt of its jobs.

Nothing is sent without a token (LOGFIRE_TOKEN), or a collector's address (OTEL_EXPORTER_OTLP_ENDPOINT).
"""

from __future__ import annotations

import logfire
from fastapi import FastAPI


def configure() -> None:
    """Let this process take part. What distq says of failed attempts goes to the log as well."""
    logfire.configure(
        service_name="shop",
        send_to_logfire="if-token-present",
        console=logfire.ConsoleOptions(min_log_level="warn", show_project_link=False),
    )
    logfire.instrument_psycopg()


def instrument(web: FastAPI) -> None:
    """Trace the requests; not the streams, which last as long as somebody looks."""
    logfire.instrument_fastapi(web, excluded_urls="/events$,/health$,/static/")
