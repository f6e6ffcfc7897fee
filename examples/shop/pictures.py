"""Pictures and their thumbnails: the pixels, and the rows."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError
from psycopg import AsyncConnection, Connection
from psycopg.rows import class_row
from pydantic import BaseModel

from examples.shop.errors import NotFound

SIZE = (160, 160)
"""Pixels of a thumbnail at most."""

LARGEST = 10 * 2**20
"""Bytes of a picture at most."""

UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, NotFound)
"""What no second try helps."""


class Picture(BaseModel):
    """A picture that was uploaded. `ready` says whether its thumbnail is."""

    id: int
    name: str
    job: str | None
    ready: bool


def shrink(original: bytes) -> bytes:
    """The thumbnail of a picture, as WebP. Raises one of UNREADABLE, or OSError for a broken file."""
    with Image.open(io.BytesIO(original)) as image:
        small = ImageOps.exif_transpose(image).convert("RGB")
        small.thumbnail(SIZE)
        target = io.BytesIO()
        small.save(target, "WEBP")
        return target.getvalue()


async def insert(connection: AsyncConnection, name: str, original: bytes) -> int:
    """Keep a picture; returns its number."""
    cursor = await connection.execute(
        "INSERT INTO shop.picture (name, original) VALUES (%s, %s) RETURNING id", [name, original]
    )
    row = await cursor.fetchone()
    assert row
    return row[0]


async def note_job(connection: AsyncConnection, picture_id: int, job: str) -> None:
    """Keep which job makes the thumbnail."""
    await connection.execute("UPDATE shop.picture SET job = %s WHERE id = %s", [job, picture_id])


async def latest(connection: AsyncConnection, limit: int) -> list[Picture]:
    """The latest pictures, the last first."""
    async with connection.cursor(row_factory=class_row(Picture)) as cursor:
        await cursor.execute(
            "SELECT id, name, job, thumbnail IS NOT NULL AS ready FROM shop.picture"
            " ORDER BY id DESC LIMIT %s",
            [limit],
        )
        return await cursor.fetchall()


async def thumbnail(connection: AsyncConnection, picture_id: int) -> bytes:
    """A picture's thumbnail. Raises NotFound where there is none, or none yet."""
    cursor = await connection.execute("SELECT thumbnail FROM shop.picture WHERE id = %s", [picture_id])
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        raise NotFound(f"there is no thumbnail of picture {picture_id}")
    return row[0]


def original(connection: Connection, picture_id: int) -> bytes:
    """A picture as it was uploaded. Raises NotFound."""
    row = connection.execute("SELECT original FROM shop.picture WHERE id = %s", [picture_id]).fetchone()
    if row is None:
        raise NotFound(f"there is no picture {picture_id}")
    return row[0]


def keep_thumbnail(connection: Connection, picture_id: int, content: bytes) -> None:
    """Keep a picture's thumbnail."""
    connection.execute("UPDATE shop.picture SET thumbnail = %s WHERE id = %s", [content, picture_id])
