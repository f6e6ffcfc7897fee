"""Reading a storage's URL; what may hold a password is never shown."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from distq.errors import ConfigurationError


def split(kind: str, url: str) -> tuple[SplitResult, dict[str, str]]:
    """The parts of a URL and its options. Raises ConfigurationError where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise unusable(kind, url, error) from None
    # A password that has a slash or a # ends there, and what follows would be shown as a path; one that has
    # an @ ends there for some libraries, and what follows is the host.
    if parts.fragment or "@" in parts.path or parts.netloc.count("@") > 1:
        raise unusable(kind, url, "it has a # or an @ that is not written as %23 or %40")
    return parts, dict(parse_qsl(parts.query, keep_blank_values=True))


def join(parts: SplitResult, options: dict[str, str]) -> str:
    """A URL with these options instead of its own."""
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"


def no_option(kind: str, url: str, name: str) -> ConfigurationError:
    """The error for an option that is none; it is named unless it may be the rest of a password."""
    query = urlsplit(url).query
    if "@" in query or "password" in query:
        return unusable(kind, url, "")
    return ConfigurationError(f"not a {kind} URL: there is no option {name!r}")


def unusable(kind: str, url: str, error: object) -> ConfigurationError:
    """The error for a URL that cannot be read; of one that may hold a password it shows nothing."""
    if "@" in url or "password" in url:
        error = "it cannot be read; are special characters in its password percent-encoded?"
    return ConfigurationError(f"not a {kind} URL: {' '.join(str(error).split())}")
