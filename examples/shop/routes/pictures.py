"""Uploading pictures, and their thumbnails."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response, UploadFile

from examples.shop import pictures, tasks
from examples.shop.answers import made
from examples.shop.placing import keep
from examples.shop.tasks import database
from examples.shop.uploads import content_of

router = APIRouter(prefix="/pictures")


@router.post("", status_code=201)
async def upload(request: Request, file: UploadFile) -> Response:
    """Keep a picture, and have its thumbnail made; it will be at the `Location`."""
    original = await content_of(file, pictures.LARGEST)
    name = "".join(filter(str.isprintable, file.filename or ""))[:100]
    async with database.coroutines.connection() as connection:
        insert = partial(pictures.insert, connection, name, original)
        number, job = await keep(connection, insert, tasks.thumbnail, pictures.note_job)
    return made(request, f"/pictures/{number}/thumbnail", {"id": number, "job": job.id})


@router.get("/{picture_id}/thumbnail")
async def thumbnail(picture_id: int) -> Response:
    """A picture's thumbnail; 404 while there is none."""
    async with database.coroutines.connection() as connection:
        content = await pictures.thumbnail(connection, picture_id)
    return Response(content, media_type="image/webp", headers={"X-Content-Type-Options": "nosniff"})
