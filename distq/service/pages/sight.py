"""What a page sees of the deployment: the last look, with the switches as they are at this moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from distq.admin.picture import Picture, QueueStatus
from distq.errors import DistqError, StorageError
from distq.service.core import Service


class Sight(NamedTuple):
    """What there is, or was when the storage last answered, and why it does not now."""

    picture: Picture
    error: DistqError | None

    def queue(self, name: str) -> QueueStatus | None:
        """A queue, if it was seen."""
        return next((queue for queue in self.picture.queues if queue.name == name), None)


async def seen(service: Service) -> Sight:
    """What there is. Raises StorageError where the storage never answered."""
    try:
        return await _turned(service, await service.live.picture(stale=True))
    except StorageError as error:
        if service.live.latest is None:
            raise
        return Sight(service.live.latest, error)


async def sights(service: Service) -> AsyncIterator[Sight]:
    """The same each time that it was looked at again."""
    async for _ in service.live.pictures():
        latest, error = service.live.latest, service.live.error
        if latest:
            yield Sight(latest, error) if error else await _turned(service, latest)


async def _turned(service: Service, picture: Picture) -> Sight:
    """The same with each queue paused as it is now: who turns a switch wants to see that it was."""
    try:
        paused = await service.storage.arun(service.storage.queues())
    except StorageError as error:
        return Sight(picture, error)
    queues = [queue.model_copy(update={"paused": paused.get(queue.name, False)}) for queue in picture.queues]
    troubles = [
        trouble
        for trouble in picture.troubles
        if trouble.kind != "paused" or paused.get(trouble.queue, False)
    ]
    return Sight(picture.model_copy(update={"queues": queues, "troubles": troubles}), None)
