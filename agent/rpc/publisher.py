"""Publishes with confirms, over a connection of its own.

    connected --publish--> CONFIRMED   the broker has it
                           UNROUTABLE  mandatory, and no queue takes it
                           REFUSED     no such exchange, or no right to it
                           UNKNOWN     lost or too slow: it may have been taken, or be taken later

There is a channel for each exchange: what makes the broker close a channel (403, 404) is a property of the
exchange, so exactly those who would share the fate share the channel.

After UNKNOWN the connection is dropped before anybody can try again, so that two publishes of one message_id
are never under way at once: the broker's returns are told apart by message_id alone. While the broker blocks
the connection, time doesn't count: what was written then is still taken when the alarm ends, and every
further attempt would be taken too.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import PublishError
from aiormq import spec
from aiormq.channel import Channel

from agent.rpc.connection import BROKEN, REFUSALS, Link, LinkState, Session, blocked, describe
from agent.rpc.message import Outgoing
from agent.rpc.tasks import end, guarded
from agent.settings_broker import Amqp

log = logging.getLogger(__name__)


class Outcome(enum.Enum):
    CONFIRMED = "confirmed"
    UNROUTABLE = "unroutable"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PublisherHealth:
    link: LinkState
    blocked_since: datetime | None
    last_confirm: datetime | None


class Publisher:
    """`prepare` runs at the begin of each session, before anything is published. `confirm_s` is how long a
    broker that isn't blocked may take to confirm."""

    def __init__(
        self,
        amqp: Amqp,
        name: str,
        *,
        prepare: Session | None = None,
        confirm_s: float = 20.0,
    ) -> None:
        self._link = Link(amqp, name)
        self._prepare = prepare
        self._confirm_s = confirm_s
        self._connection: AbstractConnection | None = None
        self._connected = asyncio.Event()
        self._channels: dict[str, AbstractChannel] = {}
        self._opening = asyncio.Lock()
        self._under_way: set[asyncio.Task[object]] = set()
        self._last_confirm: datetime | None = None
        self._blocked_since: datetime | None = None

    async def run(self, *, fail_fast: bool = False) -> None:
        """Keep connected, until cancelled."""
        await self._link.run(self._session, fail_fast=fail_fast)

    async def connected(self) -> None:
        """Wait until messages can be published."""
        await self._connected.wait()

    def health(self) -> PublisherHealth:
        now = datetime.now(UTC) if self.blocked() else None
        self._blocked_since = now and (self._blocked_since or now)
        return PublisherHealth(self._link.state, self._blocked_since, self._last_confirm)

    def blocked(self) -> bool:
        return blocked(self._connection)

    def can_publish(self) -> bool:
        """At once."""
        return self._connected.is_set() and not self.blocked()

    async def reset(self) -> None:
        """Connect anew, `prepare` included."""
        self._connected.clear()
        await self._link.reset()

    async def deliver(self, message: Outgoing) -> Outcome:
        """Publish, over as many connections as it takes, until the outcome is known."""
        while True:
            await self.connected()
            (outcome,) = await self.publish([message])
            if outcome is not Outcome.UNKNOWN:
                return outcome

    async def publish(self, messages: Sequence[Outgoing]) -> list[Outcome]:
        """Publish side by side, in this order on the wire for each exchange. Never raises a broker's error."""
        connection = self._connection
        channels = {exchange: await self._channel(exchange) for exchange in {m.exchange for m in messages}}
        # Each writes before it waits for the first time, and tasks begin in the order they were made.
        tasks = [self._begin(channels[message.exchange], message) for message in messages]
        outcomes = [await self._settled(task) for task in tasks]
        if Outcome.UNKNOWN in outcomes and connection is not None and self._connection is connection:
            await self.reset()
        return outcomes

    async def fire(self, message: Outgoing) -> None:
        """Publish without asking what becomes of it; not at all while away or blocked."""
        if not self.can_publish():
            return
        if (channel := await self._channel(message.exchange)) is not None:
            await self._settled(self._begin(channel, message))

    async def _session(self, connection: AbstractConnection) -> None:
        if self._prepare is not None:
            await self._prepare(connection)
        self._channels = {}
        self._connection = connection
        self._connected.set()
        self._link.up()
        try:
            await asyncio.Event().wait()
        finally:
            self._connected.clear()
            self._connection = None

    async def _channel(self, exchange: str) -> AbstractChannel | None:
        """The open channel for an exchange; None while there is no connection."""
        async with self._opening:
            channel = self._channels.get(exchange)
            if channel is not None and not channel.is_closed:
                return channel
            if self._connection is None:
                return None
            try:
                channel = await guarded(_open(self._connection), self._confirm_s)
            except (*BROKEN, RuntimeError) as error:  # RuntimeError: it has just closed
                log.debug("publisher.no_channel error=%s", describe(error))
                return None
            self._channels[exchange] = channel
            return channel

    def _begin(self, channel: AbstractChannel | None, message: Outgoing) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.ensure_future(_publish(channel, message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _settled(self, task: asyncio.Task[object]) -> Outcome:
        """What became of it. In a task of its own, since a dying connection cancels whoever waits on it."""
        while not task.done():
            was_blocked = self.blocked()
            await asyncio.wait({task}, timeout=self._confirm_s)
            # A broker that has just been unblocked gets the whole time from then on.
            if not (task.done() or was_blocked or self.blocked()):
                await end(task)
        outcome = _outcome(task)
        if outcome is Outcome.CONFIRMED:
            self._last_confirm = datetime.now(UTC)
        return outcome


async def _open(connection: AbstractConnection) -> AbstractChannel:
    return await connection.channel(on_return_raises=True)


async def _publish(channel: AbstractChannel | None, message: Outgoing) -> object:
    if channel is None or channel.is_closed:
        raise ConnectionError("away")
    below = cast("Channel", await channel.get_underlay_channel())
    # Not through aio_pika, which makes three objects of each message, nor waiting for the socket: its confirm is
    # waited for, and no more than a batch is under way without one.
    return await below.basic_publish(
        message.body,
        exchange=message.exchange,
        routing_key=message.routing_key,
        properties=_properties(message),
        mandatory=message.mandatory,
        wait=False,
    )


def _outcome(task: asyncio.Task[object]) -> Outcome:
    if task.cancelled():
        return Outcome.UNKNOWN
    error = task.exception()
    if error is None:
        return Outcome.CONFIRMED
    if isinstance(error, PublishError):
        return Outcome.UNROUTABLE
    if isinstance(error, REFUSALS):
        return Outcome.REFUSED
    if isinstance(error, BROKEN) or type(error) is Exception:  # the bare one is how aiormq says "closed"
        log.debug("publisher.failed error=%s", describe(error))
        return Outcome.UNKNOWN
    log.error("publisher.not_publishable", exc_info=error)
    return Outcome.REFUSED


def _properties(message: Outgoing) -> spec.Basic.Properties:
    mode = aio_pika.DeliveryMode.PERSISTENT if message.persistent else aio_pika.DeliveryMode.NOT_PERSISTENT
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
