"""Who waits for what libvirt tells: from `watch`, which hears it, to those who wait for one guest.

Listening begins before the act that will make the news, or the answer may come first:

    with news.of(uuid) as heard:
        ...detach...
        item = await heard.next(seconds)

News may be lost with the connection they would have come on. So nobody waits for news alone: what is heard is
a reason to look again, and so is having waited for a while.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from agent.hypervisor.libvirt.lifecycle import Power


class Word(enum.Enum):
    REBOOTED = enum.auto()


@dataclass(frozen=True, slots=True)
class DeviceGone:
    alias: str


@dataclass(frozen=True, slots=True)
class DeviceStays:
    """The guest refused to let it go."""

    alias: str


Item = Power | Word | DeviceGone | DeviceStays


class Ear:
    """What was told of one guest since listening began."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Item] = asyncio.Queue()

    def tell(self, item: Item) -> None:
        self._items.put_nowait(item)

    async def next(self, seconds: float) -> Item | None:
        """The next item, or None when `seconds` went by."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._items.get()
        except TimeoutError:
            return None


class News:
    """The switchboard; `watch` tells, others listen."""

    def __init__(self) -> None:
        self._ears: dict[UUID, set[Ear]] = {}

    @contextmanager
    def of(self, uuid: UUID) -> Iterator[Ear]:
        ear = Ear()
        self._ears.setdefault(uuid, set()).add(ear)
        try:
            yield ear
        finally:
            ears = self._ears[uuid]
            ears.discard(ear)
            if not ears:
                del self._ears[uuid]

    @property
    def listeners(self) -> int:
        return sum(map(len, self._ears.values()))

    def tell(self, uuid: UUID, item: Item) -> None:
        for ear in self._ears.get(uuid, ()):
            ear.tell(item)
