"""Brings deliveries from the broker to the reception, over a connection of its own.

    session: declare -> take the host's lock -> reads     queries, broadcasts, shared queue
                                             -> commands  open -> (no room) closed -> (room) open -> ...
                                             -> upkeep    declare, take the lock, again and again

Each of the feeds has a channel. A closed one takes with it all that wasn't acknowledged: the broker puts it
back in its old place, so commands keep their order over pauses, stops and losses. When a queue is deleted,
the session ends and the next one declares it. Nobody tells of an exchange or a binding that was deleted, nor of a
queue that isn't consumed just now: hence the upkeep.

The lock is an exclusive queue. Quorum queues take any number of "exclusive" consumers without a word, and
one that consumes from two agents would split an instance's commands between two journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from aio_pika.abc import AbstractConnection

from agent.names import Names
from agent.rpc.connection import LOCKED, Link, LinkState
from agent.rpc.desk import Source
from agent.rpc.feed import Feed, Queue
from agent.rpc.reception import InHand, Reception
from agent.rpc.tasks import Lost, either, end, first_of, guarded
from agent.rpc.topology import Topology
from agent.settings import Amqp, Rpc

log = structlog.get_logger(__name__)

_BROKER_S = 20.0  # what the broker may take for one question
_UPKEEP = 3  # looks at the broker, of which one is at all that is declared there


@dataclass(frozen=True, slots=True)
class ConsumerHealth:
    """`wanted`: it was started and isn't stopped. `consuming`: commands are taken. `paused_since`: there is no
    room for more. `trouble`: another agent has the name. `in_hand`: what was taken and isn't done with."""

    link: LinkState
    wanted: bool
    consuming: bool
    paused_since: datetime | None
    trouble: str | None
    in_hand: InHand


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
        self._feeds: dict[str, Feed] = {}
        self._open: set[Feed] = set()
        self._upkeep = asyncio.Event()

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
            wanted=self._task is not None and not self._task.done(),
            consuming=self._consuming.is_set(),
            paused_since=self._paused_since,
            trouble=self._trouble,
            in_hand=sum((feed.unacknowledged() for feed in self._open), self._reception.in_hand()),
        )

    def feed_of(self, queue: str) -> Feed | None:
        """The feed that consumes a queue now."""
        return self._feeds.get(queue)

    def look_now(self) -> None:
        """Something that was declared seems to be gone."""
        self._upkeep.set()

    async def reset(self) -> None:
        """Connect anew."""
        await self._link.reset()

    async def stop_consuming(self, answers_s: float = 5.0) -> None:
        """Take nothing more: what is being accepted is finished, the rest is handed back. Answers to reads
        under way get `answers_s` seconds."""
        if self._task is not None:
            await end(self._task)
        await self._reception.close(answers_s)

    async def _session(self, connection: AbstractConnection) -> None:
        await self._declare(connection)
        await first_of(self._reads(connection), self._commands(connection), self._keep_up(connection))

    async def _keep_up(self, connection: AbstractConnection) -> None:
        while True:
            await either(self._upkeep, _UPKEEP * self._rpc.check_interval_s)
            await self._declare(connection)

    async def _declare(self, connection: AbstractConnection) -> None:
        self._upkeep.clear()
        await self._topology.declare(connection)
        await guarded(self._lock(connection), _BROKER_S)

    async def _lock(self, connection: AbstractConnection) -> None:
        """The queue lives as long as the connection, whatever becomes of the channel."""
        try:
            async with connection.channel() as channel:
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
        self._open.add(feed)
        try:
            await feed.open(connection, queues)
            self._feeds.update(dict.fromkeys((queue.name for queue in queues), feed))
            yield feed
        finally:
            for queue in queues:
                self._feeds.pop(queue.name, None)
            try:
                await feed.close()
            finally:
                self._open.discard(feed)

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
