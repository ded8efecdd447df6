"""One channel in confirm mode: messages that are handed in together leave as one piece.

    publish --one write--> broker --ack------------> done
                             |     --return, nack--> an error that says so
                             `--the channel closes--> what it was closed for

The library publishes one message at a time, each under a lock, in a task, with a write and a wait of its own: that
is more work than all else that an answer takes. Here its books are used (the channel's tags, what waits for a
confirm, whose message_id a return has), and its reader completes what waits in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from aio_pika import DeliveryMode
from aiormq import spec
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from agent.rpc.connection import describe
from agent.rpc.message import Outgoing
from agent.rpc.tasks import Lost
from agent.rpc.transport import GatheringWriter

Confirm = asyncio.Future[object]
"""Done when the broker has the message; its exception is why it hasn't. Cancelled: nobody waits any more."""


class Confirms:
    """For one channel, on which nothing else publishes."""

    def __init__(self, channel: Channel, writer: GatheringWriter) -> None:
        self._channel = channel
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        channel.closing.add_done_callback(self._on_closed)

    @property
    def is_closed(self) -> bool:
        """As soon as the broker's close is read: then the library lets go of its number, and is done with it some
        turns of the loop later. What is written in between has the whole connection closed."""
        channel = self._channel
        return channel.is_closed or channel.connection.channels.get(channel.number) is not channel

    def publish(self, messages: Sequence[Outgoing]) -> list[Confirm]:
        """Write them, in this order; never waits, never raises. What can't be put into bytes fails alone."""
        if self.is_closed:
            return away(len(messages))
        confirms: list[Confirm] = [self._loop.create_future() for _ in messages]
        pieces: list[bytes] = []
        for message, confirm in zip(messages, confirms, strict=True):
            try:
                pieces.append(_bytes(message, self._channel))
                self._expect(message, confirm)
            except Exception as error:  # noqa: BLE001 - whatever the library's encoder says of a message
                confirm.set_exception(error)
        if pieces:
            # Not through the library's queue: who waits for a place in it may come after the channel's end.
            self._writer.write(b"".join(pieces))
        return confirms

    def _expect(self, message: Outgoing, confirm: Confirm) -> None:
        channel = self._channel
        channel.delivery_tag += 1
        channel.confirmations[channel.delivery_tag] = confirm
        channel.message_id_delivery_tag[message.message_id] = channel.delivery_tag
        confirm.add_done_callback(partial(self._forget, message.message_id, channel.delivery_tag))

    def _forget(self, message_id: str, tag: int, confirm: Confirm) -> None:
        tags = self._channel.message_id_delivery_tag
        if tags.get(message_id) == tag:
            del tags[message_id]
        if not confirm.cancelled():
            confirm.exception()  # seen: who asked for it may have been cancelled

    def _on_closed(self, closing: asyncio.Future[None]) -> None:
        reason = None if closing.cancelled() else closing.exception()
        # The library closes what fell silent with a CancelledError. That isn't the broker's word on a message.
        error = reason if isinstance(reason, AMQPError) else Lost(describe(reason))
        for confirm in list(self._channel.confirmations.values()):
            if not confirm.done():
                confirm.set_exception(error)


def away(number: int) -> list[Confirm]:
    """For so many messages that aren't published, as there is no channel."""
    confirms: list[Confirm] = [asyncio.get_running_loop().create_future() for _ in range(number)]
    for confirm in confirms:
        confirm.cancel()
    return confirms


def _bytes(message: Outgoing, channel: Channel) -> bytes:
    body, most = message.body, channel.max_content_size
    publish = spec.Basic.Publish(
        exchange=message.exchange, routing_key=message.routing_key, mandatory=message.mandatory
    )
    header = ContentHeader(body_size=len(body), properties=_properties(message))
    pieces: list[Frame | ContentHeader | ContentBody] = [publish, header]
    pieces += [ContentBody(body[at : at + most]) for at in range(0, len(body), most)]
    return b"".join([marshal(frame, channel.number) for frame in pieces])


def _properties(message: Outgoing) -> spec.Basic.Properties:
    mode = DeliveryMode.PERSISTENT if message.persistent else DeliveryMode.NOT_PERSISTENT
    return spec.Basic.Properties(
        headers=dict(message.headers) or None,
        content_type=message.content_type,
        content_encoding="utf-8",
        delivery_mode=mode.value,
        correlation_id=message.correlation_id,
        reply_to=message.reply_to,
        expiration=None if message.expiration is None else str(int(message.expiration * 1000)),
        message_id=message.message_id,
        timestamp=datetime.now(UTC),
        user_id=message.user_id,
        app_id=message.app_id,
    )
