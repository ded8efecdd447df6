"""Some queues consumed on one channel, and what the reception sees of a delivery.

opened --deliveries--> reception
   |--a queue was deleted, the channel or the connection closed--> broken
   `--closed: takes nothing more, finishes what is being accepted, hands the rest back
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import uuid4

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage

from agent.rpc.acks import Acks
from agent.rpc.connection import BROKEN, describe, frames
from agent.rpc.desk import Source
from agent.rpc.ears import Ears
from agent.rpc.frames import Delivered
from agent.rpc.message import Properties
from agent.rpc.reception import Gate, InHand, Reception
from agent.rpc.tasks import Lost, guarded

log = structlog.get_logger(__name__)

_BROKER_S = 20.0  # what the broker may take for one question


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    source: Source


class Incoming:
    """A delivery: what the reception sees of an AMQP message."""

    __slots__ = ("_acks", "_message", "gate", "properties", "queue", "source")

    def __init__(self, message: Delivered, queue: Queue, gate: Gate, acks: Acks) -> None:
        self._message = message
        self._acks = acks
        self.properties = _properties(message)
        self.source = queue.source
        self.queue = queue.name
        self.gate = gate

    @property
    def body(self) -> bytes:
        return self._message.body

    def ack(self) -> None:
        tag = self._message.deliver.delivery_tag
        if tag is not None:
            self._acks.add(tag)


class Feed:
    """One opening of one channel. `last`: when something was last delivered on it, or it was opened, in monotonic
    seconds."""

    def __init__(self, reception: Reception, prefetch: int) -> None:
        self._reception = reception
        self._prefetch = prefetch
        self._channel: AbstractChannel | None = None
        self._acks: Acks | None = None
        self._ears: Ears | None = None
        self._leave: Callable[[], None] | None = None
        self.gate = Gate()
        self.last = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether deliveries are being accepted or refused: then the broker may hold back further ones."""
        return bool(self.gate.accepting or self.gate.refusing)

    def unacknowledged(self) -> InHand:
        """Those that are done, and whose acknowledgement isn't on its way yet."""
        waiting = self._acks.unwritten if self._acks is not None else ()
        return InHand(len(waiting), min(waiting, default=None))

    async def open(self, connection: AbstractConnection, queues: Sequence[Queue]) -> None:
        async with asyncio.timeout(_BROKER_S):
            self._channel = await connection.channel()
            await self._channel.set_qos(prefetch_count=self._prefetch)
            self._ears = await Ears.on(self._channel, [queue.name for queue in queues])
            below = await self._channel.get_underlay_channel()
            acks = self._acks = Acks(below, self._prefetch // 2)
            by_tag = {uuid4().hex: queue for queue in queues}
            self._leave = frames(connection).take(below.number, partial(self._take, by_tag, acks))
            for tag, queue in by_tag.items():
                await below.basic_consume(queue.name, _nobody, consumer_tag=tag)

    async def broken(self) -> None:
        """Wait until it can't go on. Raises Lost."""
        if self._ears is None:
            raise Lost("the channel is closed")
        await self._ears.deaf()

    async def close(self) -> None:
        """Take nothing more, finish what is being accepted, hand the rest back."""
        self.gate.close()
        try:
            if self._channel is None or self._channel.is_closed:
                # Nothing can be acknowledged any more: no reason to keep the next session waiting.
                self.gate.drop_refusals()
            else:
                await self._close(self._channel)
        finally:
            if self._leave is not None:
                self._leave()
            if self._acks is not None:
                await self._acks.end()

    async def _close(self, channel: AbstractChannel) -> None:
        await self.gate.settle()
        try:
            if self._acks is not None:
                await guarded(self._acks.written(), _BROKER_S)
            await guarded(channel.close(), _BROKER_S)
        except BROKEN as error:
            log.debug("channel.not_closed", error=describe(error))

    def _take(self, by_tag: Mapping[str, Queue], acks: Acks, message: Delivered) -> None:
        self.last = time.monotonic()
        queue = by_tag[str(message.deliver.consumer_tag)]
        self._reception.take(Incoming(message, queue, self.gate, acks))


async def _nobody(_: DeliveredMessage) -> None:
    """What the library would call, had the frame reader not taken the delivery."""


def _properties(message: Delivered) -> Properties:
    raw = message.header.properties
    expiration = raw.expiration
    return Properties(
        content_type=raw.content_type,
        content_encoding=raw.content_encoding,
        headers=raw.headers or {},
        correlation_id=raw.correlation_id,
        reply_to=raw.reply_to,
        # The broker refuses messages whose expiration isn't a number of milliseconds.
        expiration=int(expiration) / 1000 if expiration and expiration.isdecimal() else None,
        message_id=raw.message_id,
        timestamp=raw.timestamp if isinstance(raw.timestamp, datetime) else None,
        user_id=raw.user_id,
        app_id=raw.app_id,
    )
