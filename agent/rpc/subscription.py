"""Events for a client: subscribed once, over as many connections as it takes, each once and in its host's order.

    broker's queue --> sorted --> buffer --> reader; acknowledged when the reader asks for the next
                       |    ^
             a gap: held    the missing ones, asked of the host; then the held ones

The queue outlives a lost connection by five minutes, so a client that comes back in time has missed nothing. What
it has missed all the same (the queue is gone, or a sequence has a gap) the hosts are asked for, each host for
itself: one that doesn't answer keeps no other's events back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from pydantic import ValidationError

from agent.errors import AgentError, NotFound
from agent.names import SharedNames
from agent.rpc.client_errors import told
from agent.rpc.connection import ABSENT, BROKEN, Link, leave
from agent.rpc.ears import Ears
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.params import ReplayEvents
from agent.rpc.schema.results import Replayed
from agent.rpc.streams import Missed, Position, Streams, Verdict, covers_durable, host_of, matches, routing_key
from agent.rpc.tasks import end, started
from agent.settings_broker import Amqp

log = logging.getLogger(__name__)

Replay = Callable[[str, ReplayEvents], Awaitable[Replayed]]
"""Asks a host. Raises AgentError."""

EXPIRES_MS = 5 * 60 * 1000
_PREFETCH = 100
_PAGE = 200  # events of one answer
_ASKED = 16  # hosts at once


@dataclass(frozen=True, slots=True)
class Wanted:
    """`keys` are bound to a queue of its own; with `queue` an existing one is read as it is, which others may read
    too. `after`: where the reader stands, by host."""

    keys: Sequence[str]
    queue: str | None = None
    after: Mapping[str, Position] = field(default_factory=dict)


def warn(missed: Missed) -> None:
    """What is done where nobody asks to be told."""
    log.warning("events.missed host=%s why=%s", missed.host or "(all)", missed.why)


@dataclass(frozen=True, slots=True)
class _Item:
    """Something for the reader. No event: one it has had. No message: from a host's memory."""

    event: CloudEvent | None
    message: AbstractIncomingMessage | None = None


class Subscription:
    """`events` may be entered once. `on_missed` is called before any later event of that host is read."""

    def __init__(
        self, amqp: Amqp, names: SharedNames, wanted: Wanted, replay: Replay, on_missed: Callable[[Missed], None]
    ) -> None:
        self._link = Link(amqp, "compute-client events")
        self._names = names
        self._wanted = wanted
        self._replay = replay
        self._on_missed = on_missed
        self._own = f"compute-client-events-{uuid4().hex}"
        self._streams = Streams(complete=wanted.queue is None and covers_durable(wanted.keys))
        self._buffer: asyncio.Queue[_Item] = asyncio.Queue()
        self._held: dict[str, list[tuple[CloudEvent, AbstractIncomingMessage]]] = {}
        self._filling: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(_ASKED)
        self._room = asyncio.Semaphore(_ASKED * _PAGE)
        self._subscribed = asyncio.Event()
        self._consuming: tuple[AbstractQueue, str] | None = None
        self.positions: dict[str, Position] = dict(wanted.after)
        """Of what the reader is done with, by host."""

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[CloudEvent]]:
        """Subscribed when entered. Raises what the first attempt to connect raises."""
        running = asyncio.create_task(self._link.run(self._session, fail_fast=True))
        try:
            await started(running, self._subscribed.wait())
            for host, position in self._wanted.after.items():
                self._fill(host, position)
            yield self._read()
        finally:
            try:
                if self._wanted.queue is None and self._consuming is not None:
                    await leave(*self._consuming)
            finally:
                await end(running)
                # One that ends lets go of what it held, and a gap in that has a host asked again.
                while filling := [task for task in self._filling if not task.done()]:
                    await end(*filling)

    async def _read(self) -> AsyncIterator[CloudEvent]:
        while True:
            item = await self._buffer.get()
            if item.event is not None:
                yield item.event
                if item.event.sequence is not None:
                    self.positions[host_of(item.event)] = Position(int(item.event.sequence), item.event.stream)
            if item.message is None:
                self._room.release()
            else:
                # After a lost connection it comes again, and is known.
                with suppress(*BROKEN):
                    await item.message.ack()

    async def _session(self, connection: AbstractConnection) -> None:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=_PREFETCH)
        ears = await Ears.on(channel, [self._wanted.queue or self._own])
        gone = self._consuming is not None and await self._is_gone(connection)
        queue = await self._queue(channel)
        self._consuming = (queue, await queue.consume(self._on_message))
        self._link.up()
        self._subscribed.set()
        if gone:
            self._catch_up()
        await ears.deaf()

    async def _is_gone(self, connection: AbstractConnection) -> bool:
        """Whether its own queue isn't there any more."""
        if self._wanted.queue is not None:
            return False
        try:
            async with connection.channel() as channel:
                await channel.declare_queue(self._own, passive=True)
        except ABSENT:
            return True
        return False

    async def _queue(self, channel: AbstractChannel) -> AbstractQueue:
        if self._wanted.queue is not None:
            return await channel.get_queue(self._wanted.queue)
        queue = await channel.declare_queue(self._own, durable=True, arguments={"x-expires": EXPIRES_MS})
        for key in self._wanted.keys:
            await queue.bind(self._names.events, routing_key=key)
        return queue

    async def _on_message(self, message: AbstractIncomingMessage) -> None:
        # Nothing is awaited, so the order stays.
        try:
            event = CloudEvent.model_validate_json(message.body)
        except ValidationError:
            log.warning("event.unreadable routing_key=%s", message.routing_key)
            self._buffer.put_nowait(_Item(None, message))
        else:
            self._sort(event, message)

    def _sort(self, event: CloudEvent, message: AbstractIncomingMessage) -> None:
        host = host_of(event)
        if event.sequence is not None and host in self._held:
            self._held[host].append((event, message))
            return
        verdict = self._streams.take(event)
        if verdict is Verdict.ANOTHER:
            self._lost_journal(host)
            self._streams.begin_another(event)
            verdict = self._streams.take(event)
        if verdict is Verdict.GAP:
            self._fill(host, self._streams.at(host))
            self._held[host].append((event, message))
        else:
            self._buffer.put_nowait(_Item(event if verdict is Verdict.NEW else None, message))

    def _catch_up(self) -> None:
        """After a time without a queue."""
        self._on_missed(
            Missed(
                None,
                "the queue of events was gone for a while, and hosts that weren't heard before can't be asked",
            )
        )
        for host in self._streams.hosts:
            self._fill(host, self._streams.at(host))

    def _fill(self, host: str, after: Position) -> None:
        if host in self._held:
            return
        self._held[host] = []
        task = asyncio.create_task(self._filled(host, after))
        self._filling.add(task)
        task.add_done_callback(self._filling.discard)

    async def _filled(self, host: str, after: Position) -> None:
        try:
            async with self._asking:
                await self._ask_all(host, after)
        except (AgentError, ValidationError) as error:
            self._on_missed(Missed(host, f"it can't be asked: {error}"))
        finally:
            self._release(host)

    async def _ask_all(self, host: str, after: Position) -> None:
        """What the host remembers after that position, into the buffer. Raises AgentError, ValidationError."""
        following: int | None = after.sequence + 1
        while following is not None:
            try:
                page = await self._replay(host, ReplayEvents(from_sequence=following, limit=_PAGE))
            except NotFound as error:
                following = _oldest(error)
                self._on_missed(Missed(host, "it doesn't remember that far back"))
                after = Position(following - 1, after.stream)
                continue
            if after.stream not in (None, page.stream):
                self._lost_journal(host)
                after, following = Position(0, page.stream), 1
                self._streams.set(host, page.stream, 0)
                continue
            self._streams.set(host, page.stream, following - 1)
            after = Position(following - 1, page.stream)
            await self._put(page)
            following = page.next_sequence if len(page.events) == _PAGE else None

    async def _put(self, page: Replayed) -> None:
        for document in page.events:
            event = CloudEvent.model_validate(document)
            self._streams.take(event)
            if matches(self._wanted.keys, routing_key(event)):
                await self._room.acquire()
                self._buffer.put_nowait(_Item(event))

    def _release(self, host: str) -> None:
        """What came in meanwhile; what is missing still is given up."""
        held = self._held.pop(host)
        if held:
            self._streams.give_up_before(held[0][0])
        for event, message in held:
            self._sort(event, message)

    def _lost_journal(self, host: str) -> None:
        self._on_missed(Missed(host, "it has lost its journal"))


def _oldest(error: NotFound) -> int:
    """Where the host's memory begins. Raises the error when it is about something else."""
    oldest = error.details.get("oldest")
    if not isinstance(oldest, int):
        raise error
    return oldest


class Events(AsyncIterator[CloudEvent]):
    """What `ComputeClient.events` gives: for an `async for`; inside an `async with` where the subscription shall
    begin before the loop and end at a known place."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._entered: AbstractAsyncContextManager[AsyncIterator[CloudEvent]] | None = None
        self._reading: AsyncIterator[CloudEvent] | None = None

    @property
    def positions(self) -> Mapping[str, Position]:
        """How far the reader is, by host: what `after` takes another time. An event counts once the next one is
        asked for."""
        return self._subscription.positions

    async def __aenter__(self) -> Self:
        """Raises BrokerUnreachable, LoginRefused."""
        with told():
            self._entered = self._subscription.events()
            self._reading = await self._entered.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._entered is not None:
            await self._entered.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[CloudEvent]:
        return self._alone() if self._reading is None else self._reading

    async def __anext__(self) -> CloudEvent:
        if self._reading is None:
            raise TypeError("events are read with `async with` around, or with `async for`")
        return await anext(self._reading)

    async def _alone(self) -> AsyncIterator[CloudEvent]:
        async with self:
            async for event in self:
                yield event
