"""Reading what was uploaded."""

from __future__ import annotations

from fastapi import UploadFile

from examples.shop.errors import TooLarge


async def content_of(file: UploadFile, largest: int) -> bytes:
    """The bytes of a file. Raises TooLarge where there are more than `largest`."""
    content = await file.read(largest + 1)
    if len(content) > largest:
        raise TooLarge(f"{file.filename} has more than {largest // 2**20} MiB")
    return content
