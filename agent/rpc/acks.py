"""Acknowledgements of one channel, written by a task of its own that ends with the channel.

    reception --tag--> here --> the library's queue to the socket --> broker

That queue is short. Who waits for a place in it when the connection dies waits for ever: nobody takes from it any
more, and nobody tells. A request that waited there would keep its instance's next ones, or a reader's place, for
good. So handing over a tag never waits, and the one who does is cancelled when its channel is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection

from aiormq.abc import AbstractChannel

from agent.rpc.connection import BROKEN, describe
from agent.rpc.tasks import end

log = logging.getLogger(__name__)


class Acks:
    """Begins at once; `end` it."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel
        self._tags: asyncio.Queue[int] = asyncio.Queue()
        self._unwritten: dict[int, float] = {}
        self._writing = asyncio.create_task(self._write())

    def add(self, tag: int) -> None:
        """What can't be acknowledged any more comes again."""
        self._unwritten[tag] = time.monotonic()
        self._tags.put_nowait(tag)

    @property
    def unwritten(self) -> Collection[float]:
        """Since when each waits that isn't on its way, in monotonic seconds."""
        return self._unwritten.values()

    async def written(self) -> None:
        """Wait until all are on their way. On a channel that is gone that may be never."""
        await self._tags.join()

    async def end(self) -> None:
        await end(self._writing)

    async def _write(self) -> None:
        while True:
            tag = await self._tags.get()
            try:
                await self._channel.basic_ack(tag, wait=False)
            except BROKEN as error:
                log.debug("delivery.not_acknowledged error=%s", describe(error))
            finally:
                self._unwritten.pop(tag, None)
                self._tags.task_done()
