"""Events for a client: subscribed once, over as many connections as it takes, each event once.

    broker queue -> buffer -> reader; acknowledged when the reader asks for the next

The queue outlives a lost connection by five minutes, so a client that comes back in time has missed nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage, AbstractQueue
from pydantic import ValidationError

from agent.names import SharedNames
from agent.rpc.connection import BROKEN, Link, leave
from agent.rpc.schema.events import CloudEvent
from agent.rpc.tasks import Lost, end, started
from agent.settings import Amqp

log = logging.getLogger(__name__)

EXPIRES_MS = 5 * 60 * 1000
_PREFETCH = 100


class Repeats:
    """Knows which durable events were seen: within a stream the sequence only grows. Pure."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], str] = {}

    def is_new(self, event: CloudEvent) -> bool:
        """Whether it wasn't seen; it has been now. Sequences are zero-padded, so they compare as texts."""
        if event.sequence is None:
            return True
        stream = (event.source, str(event.stream))
        if event.sequence <= self._last.get(stream, ""):
            return False
        self._last[stream] = event.sequence
        return True


@dataclass(slots=True)
class Subscription:
    """`keys` are bound to a queue of its own; with `queue` an existing one is consumed as it is."""

    amqp: Amqp
    names: SharedNames
    keys: Sequence[str]
    queue: str | None = None
    _buffer: asyncio.Queue[AbstractIncomingMessage] = field(default_factory=asyncio.Queue)
    _own: str = field(default_factory=lambda: f"compute-client-events-{uuid4().hex}")
    _subscribed: asyncio.Event = field(default_factory=asyncio.Event)
    _consuming: tuple[AbstractQueue, str] | None = None

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[CloudEvent]]:
        """Subscribed when entered. Raises what the first attempt to connect raises."""
        link = Link(self.amqp, "compute-client events")
        running = asyncio.create_task(link.run(lambda connection: self._session(link, connection), fail_fast=True))
        try:
            await started(running, self._subscribed.wait())
            yield self._read()
        finally:
            if self.queue is None and self._consuming is not None:
                await leave(*self._consuming)
            await end(running)

    async def _read(self) -> AsyncIterator[CloudEvent]:
        repeats = Repeats()
        while True:
            message = await self._buffer.get()
            try:
                event = CloudEvent.model_validate_json(message.body)
            except ValidationError:
                log.warning("event.unreadable routing_key=%s", message.routing_key)
            else:
                if repeats.is_new(event):
                    yield event
            # After a lost connection it comes again, and is known.
            with suppress(*BROKEN):
                await message.ack()

    async def _session(self, link: Link, connection: AbstractConnection) -> None:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=_PREFETCH)
        if self.queue is not None:
            queue = await channel.get_queue(self.queue)
        else:
            queue = await channel.declare_queue(self._own, durable=True, arguments={"x-expires": EXPIRES_MS})
            for key in self.keys:
                await queue.bind(self.names.events, routing_key=key)
        self._consuming = (queue, await queue.consume(self._buffer.put))
        link.up()
        self._subscribed.set()
        below = await channel.get_underlay_channel()
        await asyncio.wait({below.closing})
        raise Lost("the channel was closed")
