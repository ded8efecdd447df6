"""Brings deliveries from the broker to the reception, over a connection of its own.

    session: declare -> take the host's lock -> reads   queries, broadcasts, shared queue
                                             -> commands  open -> (no room) closed -> (room) open -> ...

Each of the two has a channel. A closed one takes with it all that wasn't acknowledged: the broker puts it
back in its old place, so commands keep their order over pauses, stops and losses. When a queue is deleted,
the session ends and the next one declares it.

The lock is an exclusive queue. Quorum queues take any number of "exclusive" consumers without a word, and
one that consumes from two agents would split an instance's commands between two journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import DeliveredMessage

from agent.names import Names
from agent.rpc.connection import BROKEN, LOCKED, Link, LinkState, describe
from agent.rpc.desk import Source
from agent.rpc.message import Properties
from agent.rpc.reception import Gate, Reception
from agent.rpc.tasks import Lost, end, first_of, guarded
from agent.rpc.topology import Topology
from agent.settings import Amqp, Rpc

log = structlog.get_logger(__name__)

_BROKER_S = 20.0  # what the broker may take for one question


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class ConsumerHealth:
    """`consuming`: commands are taken. `paused_since`: there is no room for more. `trouble`: another agent has the
    name."""

    link: LinkState
    consuming: bool
    paused_since: datetime | None
    trouble: str | None


class Incoming:
    """A delivery: what the reception sees of an AMQP message."""

    __slots__ = ("_message", "gate", "properties", "queue", "source")

    def __init__(self, message: DeliveredMessage, queue: Queue, gate: Gate) -> None:
        self._message = message
        self.properties = _properties(message)
        self.source = queue.source
        self.queue = queue.name
        self.gate = gate

    @property
    def body(self) -> bytes:
        return self._message.body

    async def ack(self) -> None:
        tag = self._message.delivery_tag
        try:
            if tag is not None:
                await self._message.channel.basic_ack(tag, wait=False)
        except BROKEN as error:
            log.debug("delivery.not_acknowledged", error=describe(error))


class Feed:
    """Some queues consumed on one channel."""

    def __init__(self, reception: Reception, prefetch: int) -> None:
        self._reception = reception
        self._prefetch = prefetch
        self._channel: AbstractChannel | None = None
        self._tags: dict[str, str] = {}
        self._cancelled = asyncio.Event()
        self.gate = Gate()

    async def open(self, connection: AbstractConnection, queues: Sequence[Queue]) -> None:
        async with asyncio.timeout(_BROKER_S):
            self._channel = await connection.channel()
            await self._channel.set_qos(prefetch_count=self._prefetch)
            below = await self._channel.get_underlay_channel()
            below.on_consumer_cancel_callbacks.add(self._on_cancel)
            for queue in queues:
                ok = await below.basic_consume(queue.name, self._callback(queue))
                self._tags[str(ok.consumer_tag)] = queue.name

    async def broken(self) -> None:
        """Wait until it can't go on. Raises Lost."""
        if self._channel is None:
            raise Lost("the channel is closed")
        below = await self._channel.get_underlay_channel()
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({below.closing, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cancelled.cancel()
        if self._cancelled.is_set():
            raise Lost(f"the broker ended the consumers of {', '.join(self._tags.values())}: a queue was deleted")
        raise Lost("the channel was closed")

    async def close(self) -> None:
        """Take nothing more, finish what is being accepted, hand the rest back."""
        self.gate.close()
        if self._channel is None or self._channel.is_closed:
            # Nothing can be acknowledged any more: no reason to keep the next session waiting.
            self.gate.drop_refusals()
            return
        await self.gate.settle()
        try:
            await guarded(self._channel.close(), _BROKER_S)
        except BROKEN as error:
            log.debug("channel.not_closed", error=describe(error))

    def _callback(self, queue: Queue) -> Any:
        async def on_message(message: DeliveredMessage) -> None:
            # Nothing is awaited, so the channel's end can't interrupt it and the order stays.
            self._reception.take(Incoming(message, queue, self.gate))

        return on_message

    def _on_cancel(self, _: object) -> None:
        self._cancelled.set()


class Consumer:
    """One for the agent. `start`, `stop_consuming`; the reception outlives it."""

    def __init__(self, amqp: Amqp, rpc: Rpc, names: Names, reception: Reception, topology: Topology) -> None:
        self._rpc = rpc
        self._names = names
        self._reception = reception
        self._topology = topology
        self._link = Link(amqp, f"compute-agent {names.host} commands")
        self._task: asyncio.Task[None] | None = None
        self._consuming = asyncio.Event()
        self._paused_since: datetime | None = None
        self._trouble: str | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin; the task never ends by itself."""
        self._task = asyncio.create_task(self._link.run(self._session), name="rpc consumer")
        return self._task

    async def consuming(self) -> None:
        """Wait until commands are taken."""
        await self._consuming.wait()

    def health(self) -> ConsumerHealth:
        return ConsumerHealth(
            link=self._link.state,
            consuming=self._consuming.is_set(),
            paused_since=self._paused_since,
            trouble=self._trouble,
        )

    async def stop_consuming(self, answers_s: float = 5.0) -> None:
        """Take nothing more: what is being accepted is finished, the rest is handed back. Answers to reads
        under way get `answers_s` seconds."""
        if self._task is not None:
            await end(self._task)
        await self._reception.close(answers_s)

    async def _session(self, connection: AbstractConnection) -> None:
        await self._topology.declare()
        await self._lock(connection)
        await first_of(self._reads(connection), self._commands(connection))

    async def _lock(self, connection: AbstractConnection) -> None:
        try:
            channel = await connection.channel()
            await channel.declare_queue(self._names.lock, exclusive=True, auto_delete=True)
        except LOCKED:
            self._trouble = (
                f"another connection has the host name {self._names.host!r} (queue {self._names.lock}): a second "
                "agent of that name, or our own connection from before a network failure, which the broker "
                "drops within three heartbeats"
            )
            raise Lost(self._trouble) from None
        self._trouble = None

    async def _reads(self, connection: AbstractConnection) -> None:
        names = self._names
        queues = [Queue(names.queries, Source.QUERIES), Queue(names.fanout_queue, Source.FANOUT)]
        if not self._rpc.shared_spawn:
            queues.append(Queue(names.shared, Source.SHARED))
        async with self._feed(connection, queues) as feed:
            self._link.up()
            await feed.broken()

    async def _commands(self, connection: AbstractConnection) -> None:
        """Alternates between taking commands and waiting for room. Raises Lost."""
        queues = [Queue(self._names.commands, Source.COMMANDS)]
        if self._rpc.shared_spawn:
            # Spawns wait with the other commands while there is no room.
            queues.append(Queue(self._names.shared, Source.SHARED))
        while True:
            await self._room()
            async with self._feed(connection, queues) as feed:
                self._consuming.set()
                try:
                    await first_of(feed.broken(), feed.gate.shut())
                finally:
                    self._consuming.clear()

    @asynccontextmanager
    async def _feed(self, connection: AbstractConnection, queues: Sequence[Queue]) -> AsyncIterator[Feed]:
        feed = Feed(self._reception, self._rpc.prefetch)
        try:
            await feed.open(connection, queues)
            yield feed
        finally:
            await feed.close()

    async def _room(self) -> None:
        desk = self._reception.desk
        if desk.has_room():
            return
        self._paused_since = datetime.now(UTC)
        log.warning("commands.paused", reason="too many unfinished operations; the backlog stays in the broker")
        try:
            await desk.wait_for_room()
        finally:
            self._paused_since = None
        log.info("commands.resumed")


def _properties(message: DeliveredMessage) -> Properties:
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
