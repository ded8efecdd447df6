"""Acknowledgements of one channel, written by a task of its own that ends with the channel.

    reception --tag--> gathered for a moment --in one, as far as nothing is open before--> broker

Nobody waits for an acknowledgement, and each costs the broker and us a frame, often a packet: they are gathered,
until the moment is over or so many wait that the broker might hold back further deliveries.
A frame may acknowledge all up to a tag, once none of these is open any more; what is done out of order is
acknowledged by itself.

The library's queue to the socket is short. Who waits for a place in it when the connection dies waits for ever:
nobody takes from it any more, and nobody tells. A request that waited there would keep its instance's next ones,
or a reader's place, for good. So handing over a tag never waits, and the one who does is cancelled when its
channel is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from aiormq.abc import AbstractChannel

from agent.rpc.connection import BROKEN, describe
from agent.rpc.tasks import either, end

log = logging.getLogger(__name__)

_MOMENT_S = 0.005
"""No longer: until it is acknowledged, a delivery counts against the channel's prefetch."""


@dataclass(slots=True)
class Tags:
    """Which deliveries of a channel are done. The broker counts them from 1."""

    _through: int = 0
    _beyond: set[int] = field(default_factory=set)

    def done(self, tags: Collection[int]) -> list[tuple[int, bool]]:
        """What to acknowledge for these, each given once: a tag, and whether all before it are meant too."""
        self._beyond.update(tags)
        while self._through + 1 in self._beyond:
            self._through += 1
            self._beyond.remove(self._through)
        # One of these, as the broker refuses to hear of another twice.
        last = max((tag for tag in tags if tag <= self._through), default=None)
        alone = [(tag, False) for tag in sorted(tags) if tag > self._through]
        return alone if last is None else [(last, True), *alone]


class Acks:
    """Begins at once; `end` it. `many` aren't kept waiting."""

    def __init__(self, channel: AbstractChannel, many: int) -> None:
        self._channel = channel
        self._many = many
        self._tags = Tags()
        self._unwritten: dict[int, float] = {}
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._hurry = asyncio.Event()
        self._writing = asyncio.create_task(self._write())

    def add(self, tag: int) -> None:
        """What can't be acknowledged any more comes again."""
        self._unwritten[tag] = time.monotonic()
        self._some.set()
        self._none.clear()
        if len(self._unwritten) >= self._many:
            self._hurry.set()

    @property
    def unwritten(self) -> Collection[float]:
        """Since when each waits that isn't on its way, in monotonic seconds."""
        return self._unwritten.values()

    async def written(self) -> None:
        """Wait until all are on their way. On a channel that is gone that may be never."""
        self._hurry.set()
        if self._unwritten:
            await self._none.wait()

    async def end(self) -> None:
        await end(self._writing)

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            await either(self._hurry, _MOMENT_S)
            self._some.clear()
            self._hurry.clear()
            tags = list(self._unwritten)
            for tag, multiple in self._tags.done(tags):
                try:
                    await self._channel.basic_ack(tag, multiple=multiple, wait=False)
                except BROKEN as error:
                    log.debug("delivery.not_acknowledged error=%s", describe(error))
            for tag in tags:
                del self._unwritten[tag]
            if not self._unwritten:
                self._none.set()
