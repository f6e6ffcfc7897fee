"""Finds the application that `module:app` names."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

from distq.app import DistQ
from distq.connect import connect
from distq.errors import ConfigurationError

_OTHERS = tuple(str(Path(file).parent) for file in (__file__, importlib.__file__))
"""Where code lies that is neither the user's nor imported by it."""


URL_VARIABLE = "DISTQ_WORKER_URL"
"""Where a worker process finds the URL that its pool was given: others could read its arguments."""


def load_app(reference: str, url: str = "") -> DistQ:
    """Import `module:attribute`, with the current directory on the path; `url` is for another storage than
    the app's own.

    Raises:
        ConfigurationError: there is no such module or attribute, or it is not a DistQ.
    """
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        raise ConfigurationError(
            f"{reference!r} does not name an app: use module:attribute, e.g. shop.jobs:app"
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise _unusable(module, error) from error
    app = getattr(found, attribute, None)
    if not isinstance(app, DistQ):
        what = "no attribute" if app is None else f"a {type(app).__name__}, not a DistQ, as"
        raise ConfigurationError(f"module {module!r} has {what} {attribute!r}")
    if url:
        app.move(connect(url))
    return app


def _unusable(module: str, error: Exception) -> ConfigurationError:
    """Why a module cannot be imported, and where in the code that it runs."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name and f"{module}.".startswith(f"{name}."):
        return ConfigurationError(f"no module named {name!r}: is the current directory right?")
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return ConfigurationError(f"module {module!r} cannot be imported: {reason}{where}")


def _is_users(filename: str) -> bool:
    return not filename.startswith(("<", *_OTHERS))
