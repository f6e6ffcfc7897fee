"""Finds the application that `module:app` names."""

from __future__ import annotations

import importlib
import os
import sys

from distq.app import DistQ
from distq.errors import ConfigurationError


def load_app(reference: str) -> DistQ:
    """Import `module:attribute`, with the current directory on the path.

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
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(
            f"no module named {error.name!r}: is the current directory right?"
        ) from error
    app = getattr(found, attribute, None)
    if not isinstance(app, DistQ):
        what = "no attribute" if app is None else f"a {type(app).__name__}, not a DistQ, as"
        raise ConfigurationError(f"module {module!r} has {what} {attribute!r}")
    return app
