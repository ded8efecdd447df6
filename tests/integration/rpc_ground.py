"""The edge of an agent on a real broker, with a desk and an outbox that remember.

The desk and the outbox are the two seams of the edge; behind them there is nothing here, so a test sees
exactly what would have been handed inwards.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from pamqp.commands import Basic
from pydantic import SecretStr
from pydantic_core import from_json, to_json

from agent.journal.records import Address, Answer, EventRecord, OutgoingReply
from agent.names import Names
from agent.pulse import Pulses
from agent.rpc.client import ComputeClient
from agent.rpc.connection import connect
from agent.rpc.consumer import Consumer
from agent.rpc.desk import Call, Request
from agent.rpc.events import Again, Ephemeral, OutboxSender
from agent.rpc.heartbeats import Heartbeats
from agent.rpc.notifications import notification
from agent.rpc.probe import Probe
from agent.rpc.publisher import Publisher
from agent.rpc.reception import Bounds, Reception
from agent.rpc.router import Router
from agent.rpc.schema.results import Pong, Result
from agent.rpc.topology import Layout, Topology
from agent.settings import Amqp, Notifications, Rpc

T = TypeVar("T")

SOON = 60.0  # seconds; what a loaded box may need

KILLABLE = "classic"
"""A quorum queue of a broker that is killed within a second of its declaration may never lead again."""


class Outbox:
    """Unsent answers and events in memory, with the journal's behaviour."""

    def __init__(self, host: str) -> None:
        self.outgoing = asyncio.Event()
        self.stream = uuid4()
        self.source = f"/compute/{host}"
        self.events: dict[int, EventRecord] = {}
        self.replies: dict[int, OutgoingReply] = {}
        self._sequence = 0
        self._changed = asyncio.Event()

    def add_event(self, type_: str, subject: UUID | None = None, **data: Any) -> EventRecord:
        self._sequence += 1
        record = EventRecord(
            sequence=self._sequence,
            stream=self.stream,
            source=self.source,
            type=type_,
            subject=subject,
            time=datetime.now(UTC),
            data=data,
        )
        self.events[record.sequence] = record
        self.outgoing.set()
        return record

    def add_reply(self, address: Address, answer: Answer) -> OutgoingReply:
        number = len(self.replies) + 1
        reply = OutgoingReply(number, uuid4().hex, address, answer, datetime.now(UTC))
        self.replies[number] = reply
        self.outgoing.set()
        return reply

    async def unsent_events(self, limit: int) -> list[EventRecord]:
        return [self.events[number] for number in sorted(self.events)][:limit]

    async def events_sent(self, sequences: Sequence[int]) -> None:
        for number in sequences:
            self.events.pop(number, None)
        self._changed.set()

    async def unsent_replies(self, limit: int) -> list[OutgoingReply]:
        return [self.replies[number] for number in sorted(self.replies)][:limit]

    async def replies_sent(self, ids: Sequence[int]) -> None:
        for number in ids:
            self.replies.pop(number, None)
        self._changed.set()

    async def emptied(self) -> None:
        async with asyncio.timeout(SOON):
            while self.events or self.replies:
                self._changed.clear()
                await self._changed.wait()


class Desk:
    """Remembers what it was given. `refuse` and `room` are set by tests; `hold` keeps accepts waiting."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.accepted: list[Call] = []
        self.begun: list[Call] = []
        self.refused: list[tuple[Request, Exception]] = []
        self.refuse: dict[str, Exception] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self.slow_reads = asyncio.Event()
        self.slow_reads.set()
        self.reading = 0
        self.room = asyncio.Event()
        self.room.set()
        self.most: int | None = None
        self.slow = 0.0  # seconds that writing it down takes
        self._changed = asyncio.Event()

    async def answer(self, call: Call) -> Result:
        self.reading += 1
        self._changed.set()
        await self.slow_reads.wait()
        if error := self.refuse.get(call.method.name):
            raise error
        return Pong(host=self.host, agent_version="test", observed_at=datetime.now(UTC))

    async def accept(self, call: Call) -> None:
        self.begun.append(call)
        if self.most is not None and len(self.begun) >= self.most:
            self.room.clear()
        self._changed.set()
        await self.hold.wait()
        if self.slow:
            await asyncio.sleep(self.slow)
        if error := self.refuse.get(call.method.name):
            raise error
        self.accepted.append(call)
        self._changed.set()

    async def tell_refused(self, call: Call | None, request: Request, error: Exception) -> None:
        self.refused.append((request, error))
        self._changed.set()

    def has_room(self) -> bool:
        return self.room.is_set()

    async def wait_for_room(self) -> None:
        await self.room.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that this desk is told."""
        async with asyncio.timeout(SOON):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def asked_from(self) -> Address:
        """Where the first call that it accepts is answered."""
        await self.until(lambda: len(self.accepted) > 0)
        address = self.accepted[0].request.address
        assert address is not None
        return address

    def identities(self) -> list[str | None]:
        return [call.request.identity for call in self.accepted]


@dataclass
class Edge:
    """An agent's edge, running."""

    amqp: Amqp
    rpc: Rpc
    names: Names
    desk: Desk
    outbox: Outbox
    topology: Topology
    publisher: Publisher
    sender: OutboxSender
    ephemeral: Ephemeral
    reception: Reception
    consumer: Consumer
    probe: Probe
    heartbeats: Heartbeats
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        self.tasks = [
            asyncio.create_task(self.publisher.run()),
            asyncio.create_task(self.sender.run()),
            asyncio.create_task(self.ephemeral.run()),
            asyncio.create_task(self.probe.run()),
            asyncio.create_task(self.heartbeats.run()),
        ]
        self.consumer.start()

    async def declare(self) -> None:
        """What lies on the broker, before it runs."""
        async with await connect(self.amqp, "a test") as connection:
            await self.topology.declare(connection)

    async def stop(self) -> None:
        await self.consumer.stop_consuming()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def make_edge(
    url: str, names: Names, bounds: Bounds | None = None, notified: Notifications | None = None, **rpc: Any
) -> Edge:
    amqp = Amqp(url=SecretStr(url), reconnect_s=0.1, heartbeat_s=5)
    settings = Rpc(exchange=names.exchange, topic=names.topic, **rpc)
    desk, outbox = Desk(names.host), Outbox(names.host)
    told = notified or Notifications()
    topology = Topology(Layout(names, settings, told))
    notify = partial(notification, names=names, topic=told.topic) if told.enabled else None
    publisher = Publisher(amqp, "events and answers", prepare=topology.declare)
    consumers: list[Consumer] = []
    probe = Probe(
        names=names,
        post=publisher,
        ears=lambda queue: consumers[0].feed_of(queue),
        interval_s=settings.check_interval_s,
        on_lost=lambda: consumers[0].look_now(),
    )
    heartbeats = Heartbeats(publisher, missing_s=1.0)
    reception = Reception(
        desk=desk,
        router=Router(names, settings.shared_spawn),
        post=publisher,
        probes=probe,
        heartbeats=heartbeats,
        bounds=bounds or Bounds(max_message_bytes=settings.max_message_bytes),
    )
    consumers.append(Consumer(amqp, settings, names, reception, topology))
    return Edge(
        amqp,
        settings,
        names,
        desk,
        outbox,
        topology,
        publisher,
        OutboxSender(outbox, publisher, names, Pulses(), heartbeats, notify=notify, again=Again(0.1, 1.0)),
        Ephemeral(publisher, names),
        reception,
        consumers[0],
        probe,
        heartbeats,
    )


def new_names(host: str = "h1") -> Names:
    """Names that no other test has, so that all can share a broker."""
    topic = f"t{secrets.token_hex(4)}"
    return Names(exchange=topic, topic=topic, host=host)


@asynccontextmanager
async def edge_on(
    url: str,
    names: Names | None = None,
    bounds: Bounds | None = None,
    notified: Notifications | None = None,
    **rpc: Any,
) -> AsyncIterator[Edge]:
    """A running edge that takes commands."""
    edge = make_edge(url, names or new_names(), bounds, notified, **rpc)
    await edge.start()
    try:
        async with asyncio.timeout(SOON):
            await edge.consumer.consuming()
            await edge.publisher.connected()
        await eventually(lambda: edge.consumer.health().link.up)  # reads are taken too
        yield edge
    finally:
        await edge.stop()


def client_of(edge: Edge, url: str) -> ComputeClient:
    return ComputeClient(
        Amqp(url=SecretStr(url), reconnect_s=0.1), exchange=edge.names.exchange, topic=edge.names.topic
    )


class RawProperties(Basic.Properties):
    """Properties that no library would write."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self._raw = raw

    def marshal(self) -> bytes:
        return self._raw


class RawName(str):
    """A name that no library would write, as each byte is a character of it: it needn't be text."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return super().encode("latin-1", errors)


class Peer:
    """Somebody else on the broker, who speaks AMQP by hand."""

    def __init__(self, connection: AbstractConnection, names: Names) -> None:
        self.connection = connection
        self.names = names

    async def send(
        self, document: Any, queue: str | None = None, *, exchange: str | None = None, **properties: Any
    ) -> None:
        """`document` is sent as JSON, bytes as they are."""
        body = document if isinstance(document, bytes) else to_json(document)
        async with self.connection.channel(on_return_raises=True) as channel:
            target = await channel.get_exchange(exchange or self.names.exchange, ensure=False)
            properties.setdefault("content_type", "application/json")
            await target.publish(aio_pika.Message(body, **properties), queue or self.names.commands)

    async def send_raw(self, body: bytes, properties: bytes) -> None:
        """`properties` as they are on the wire: flags, then values."""
        async with self.connection.channel() as channel:
            below = await channel.get_underlay_channel()
            raw = RawProperties(properties)
            await below.basic_publish(
                body, exchange=self.names.exchange, routing_key=self.names.commands, properties=raw
            )

    async def send_by(self, key: bytes, body: bytes, exchange: str) -> None:
        """`key`: the routing key as it is on the wire."""
        async with self.connection.channel() as channel:
            below = await channel.get_underlay_channel()
            await below.basic_publish(body, exchange=exchange, routing_key=RawName(key.decode("latin-1")))

    @asynccontextmanager
    async def replies(
        self, *, bound: bool = False
    ) -> AsyncIterator[tuple[str, asyncio.Queue[AbstractIncomingMessage]]]:
        """A reply queue and what comes into it."""
        got: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        async with self.connection.channel() as channel:
            queue = await channel.declare_queue(auto_delete=True)
            if bound:
                await queue.bind(self.names.replies, routing_key=queue.name)
            await queue.consume(got.put, no_ack=True)
            yield queue.name, got

    async def ask(self, document: Any, queue: str | None = None, **properties: Any) -> dict[str, Any]:
        """Call and wait for the answer's body."""
        async with self.replies() as (name, got):
            properties.setdefault("correlation_id", "c1")
            await self.send(document, queue, reply_to=name, **properties)
            return body_of(await soon(got.get()))

    async def dead_letter(self) -> AbstractIncomingMessage:
        """The oldest one, taken."""
        async with self.connection.channel() as channel:
            queue = await channel.get_queue(self.names.dead_letters)
            got: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            await channel.set_qos(prefetch_count=1)
            await queue.consume(got.put)
            message = await soon(got.get())
            await message.ack()
            return message

    async def until_depth(self, queue: str, wanted: int) -> None:
        """A quorum queue has back what was handed back a moment after the channel was closed."""
        async with asyncio.timeout(SOON):
            while await self.depth(queue) != wanted:
                await asyncio.sleep(0.01)

    async def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        async with self.connection.channel() as channel:
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.message_count or 0


@asynccontextmanager
async def peer_on(url: str, names: Names) -> AsyncIterator[Peer]:
    connection = await aio_pika.connect(url)
    async with connection:
        yield Peer(connection, names)


def body_of(message: AbstractIncomingMessage) -> dict[str, Any]:
    document = from_json(message.body)
    assert isinstance(document, dict)
    return document


async def eventually(condition: Callable[[], bool]) -> None:
    """For what nothing announces."""
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.005)


async def soon(awaitable: Awaitable[T]) -> T:
    async with asyncio.timeout(SOON):
        return await awaitable


def stop_args(uuid: UUID | None = None, **more: Any) -> dict[str, Any]:
    return {"method": "stop", "args": {"instance_uuid": str(uuid or uuid4()), **more}}
