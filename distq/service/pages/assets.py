"""The files that pages need: style, scripts. Their addresses change with what is in them."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from fastapi import Request, Response

from distq.service.errors import NotFound

_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A file as it is sent. `mark` is short for its content."""

    body: bytes
    media_type: str
    mark: str


def _load() -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    for file in files("distq.service.pages").joinpath("static").iterdir():
        kind = _KINDS.get(f".{file.name.rpartition('.')[2]}")
        if kind:
            body = file.read_bytes()
            found[file.name] = Asset(body, kind, sha256(body).hexdigest()[:16])
    return found


ASSETS = _load()
"""All of them, by name."""


def address(root: str, name: str) -> str:
    """Where a file is, of a service below `root`; browsers may keep what they got from there for good."""
    return f"{root}/static/{name}?v={ASSETS[name].mark}"


async def send(request: Request, name: str) -> Response:
    """A file. Anybody may have it: the page on which one logs in needs it."""
    asset = ASSETS.get(name)
    if asset is None:
        raise NotFound(f"there is no file {name!r}")
    is_named_by_content = request.query_params.get("v") == asset.mark
    keep = "public, max-age=31536000, immutable" if is_named_by_content else "no-cache"
    headers = {"Cache-Control": keep, "ETag": f'"{asset.mark}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
