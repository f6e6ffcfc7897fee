"""Whom to tell: what the user has configured, Logfire or the SDK of OpenTelemetry.

Neither is ever imported from here, for that takes longer than all of distq: who has not imported it has not
configured it.
"""

from __future__ import annotations

import sys
from typing import Any

from distq.telemetry.faults import contained


def logfire() -> Any | None:
    """Logfire, once the user has configured it. Asked for each job, so it is quick."""
    module = sys.modules.get("logfire")
    try:
        return module if module and module.DEFAULT_LOGFIRE_INSTANCE.config._initialized is True else None
    except AttributeError:  # it is being imported, or another version
        return None


def of_logfire() -> tuple[Any, Any]:
    """Logfire's providers of tracers and of meters, or None twice. Quick."""
    if (module := logfire()) is None:
        return None, None
    config = module.DEFAULT_LOGFIRE_INSTANCE.config
    return config.get_tracer_provider(), config.get_meter_provider()


def of_sdk() -> tuple[Any, Any]:
    """The SDK's providers of tracers and of meters; None for one that is not configured. Takes 10 µs."""
    return _of_sdk("trace", "tracer"), _of_sdk("metrics", "meter")


def _of_sdk(signal: str, what: str) -> Any | None:
    api, sdk = sys.modules.get(f"opentelemetry.{signal}"), sys.modules.get(f"opentelemetry.sdk.{signal}")
    try:
        provider = getattr(api, f"get_{what}_provider")() if api and sdk else None
        return provider if isinstance(provider, getattr(sdk, f"{what.title()}Provider", ())) else None
    except AttributeError:  # it is being imported
        return None


def flush() -> None:
    """Let what has been told get out. That may take long."""
    for provider in of_logfire() if logfire() else of_sdk():
        with contained:
            if hasattr(provider, "force_flush"):
                provider.force_flush()
