"""Whether the consumers of one channel still hear. The broker ends them when their queue is deleted, and says so
only once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Self

from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as Wire

from agent.rpc.connection import describe
from agent.rpc.tasks import Lost


class Ears:
    """To be made before the channel's first consumer. `queues`: their names, also when more are added later."""

    def __init__(self, below: Wire, queues: Collection[str]) -> None:
        self._below = below
        self._queues = queues
        self._cancelled = asyncio.Event()
        below.on_consumer_cancel_callbacks.add(self._on_cancel)

    @classmethod
    async def on(cls, channel: AbstractChannel, queues: Collection[str]) -> Self:
        return cls(await channel.get_underlay_channel(), queues)

    async def deaf(self) -> None:
        """Wait until they hear no more. Raises Lost."""
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({self._below.closing, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()
        if self._cancelled.is_set():
            raise Lost(f"the broker ended the consumers of {', '.join(self._queues)}: a queue was deleted")
        raise Lost(f"the broker closed the channel: {_why(self._below.closing)}")

    def _on_cancel(self, _: object) -> None:
        self._cancelled.set()


def _why(closing: asyncio.Future[None]) -> str:
    return describe(closing.exception()) if closing.done() and not closing.cancelled() else "closed"
