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

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import PublishError
from aiormq.channel import Channel

from agent.rpc.confirms import Confirm, Confirms, away
from agent.rpc.connection import BROKEN, REFUSALS, Link, LinkState, Session, blocked, describe, writer
from agent.rpc.message import Outgoing
from agent.rpc.tasks import guarded
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
        self._channels: dict[str, Confirms] = {}
        self._opening = asyncio.Lock()
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
        channels = {exchange: await self._channel(exchange) for exchange in {m.exchange for m in messages}}
        connection = self._connection  # that of the channels, also if they had to wait for it
        confirms = {exchange: iter(_begin(channel, exchange, messages)) for exchange, channel in channels.items()}
        outcomes = await self._settled([next(confirms[message.exchange]) for message in messages])
        if Outcome.UNKNOWN in outcomes and connection is not None and self._connection is connection:
            await self.reset()
        return outcomes

    async def fire(self, message: Outgoing) -> None:
        """Publish without asking what becomes of it; not at all while away or blocked."""
        if not self.can_publish():
            return
        if (channel := await self._channel(message.exchange)) is not None:
            await self._settled(channel.publish([message]))

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

    async def _channel(self, exchange: str) -> Confirms | None:
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

    async def _settled(self, confirms: Sequence[Confirm]) -> list[Outcome]:
        """What became of them. A broker that goes on confirming gets all the time it takes."""
        waiting = {confirm for confirm in confirms if not confirm.done()}
        while waiting:
            was_blocked = self.blocked()
            done, waiting = await asyncio.wait(waiting, timeout=self._confirm_s)
            # One that has just been unblocked gets the whole time from then on.
            if not (done or was_blocked or self.blocked()):
                for confirm in waiting:
                    confirm.cancel()
        outcomes = [_outcome(confirm) for confirm in confirms]
        if Outcome.CONFIRMED in outcomes:
            self._last_confirm = datetime.now(UTC)
        return outcomes


def _begin(channel: Confirms | None, exchange: str, messages: Sequence[Outgoing]) -> list[Confirm]:
    """Those of one exchange."""
    chosen = [message for message in messages if message.exchange == exchange]
    return away(len(chosen)) if channel is None else channel.publish(chosen)


async def _open(connection: AbstractConnection) -> Confirms:
    channel = await connection.channel(on_return_raises=True)
    return Confirms(cast("Channel", await channel.get_underlay_channel()), writer(connection))


def _outcome(confirm: Confirm) -> Outcome:
    if confirm.cancelled():
        return Outcome.UNKNOWN
    error = confirm.exception()
    if error is None:
        return Outcome.CONFIRMED
    if isinstance(error, PublishError):
        return Outcome.UNROUTABLE
    if isinstance(error, REFUSALS):
        return Outcome.REFUSED
    if isinstance(error, BROKEN):
        log.debug("publisher.failed error=%s", describe(error))
        return Outcome.UNKNOWN
    log.error("publisher.not_publishable", exc_info=error)
    return Outcome.REFUSED
