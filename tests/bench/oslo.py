"""Calls in oslo.messaging's format, many at once: to the agent, and to the library's own server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

from aiormq import spec
from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pydantic import SecretStr

from agent.rpc.connection import connect, frames
from agent.rpc.frames import Delivered
from agent.settings_broker import Amqp
from tests.bench.bed import Bed
from tests.bench.figures import Figure, ratio
from tests.bench.meters import cpu
from tests.oslo.library import Oslo

CALLS = 4000
IN_FLIGHT = 64
US = 1e6


class Calls:
    """Calls of `ping` to one server, so many in flight. Cheap, as it shares the machine with what it loads: frames
    are made before the clock runs, and of the answers only the number is looked at."""

    def __init__(self, url: str, topic: str, host: str) -> None:
        self._url = url
        self._topic = topic
        self._host = host
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._missing = 0
        self._all = asyncio.Event()
        self.last = b""

    async def __aenter__(self) -> Self:
        self._connection = await connect(Amqp(url=SecretStr(self._url)), "load")
        over = await self._connection.channel(publisher_confirms=False)
        channel = await over.get_underlay_channel()
        assert isinstance(channel, Channel)
        self._channel = channel
        queue = await channel.queue_declare(f"reply_{uuid4().hex}", auto_delete=True)
        assert queue.queue is not None
        self._replies = queue.queue
        frames(self._connection).take(channel.number, self._on_reply)
        await channel.basic_consume(queue.queue, self._past, no_ack=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def run(self, number: int) -> float:
        """Seconds from the first call to the last answer."""
        calls = [self._call() for _ in range(number)]
        self._missing = number
        self._all.clear()
        began = time.monotonic()
        for call in calls:
            await self._room.acquire()
            await self._channel.write_queue.put(call)
        async with asyncio.timeout(300):
            await self._all.wait()
        return time.monotonic() - began

    def _call(self) -> ChannelFrame:
        publish = spec.Basic.Publish(exchange=self._topic, routing_key=f"{self._topic}.{self._host}")
        properties = spec.Basic.Properties(
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            priority=0,
            expiration="60000",
        )
        body = self._body()
        header = ContentHeader(body_size=len(body), properties=properties)
        return ChannelFrame.marshall(self._channel.number, [publish, header, ContentBody(body)])

    def _body(self) -> bytes:
        message: dict[str, object] = {
            "method": "ping",
            "args": {},
            "_msg_id": uuid4().hex,
            "_reply_q": self._replies,
            "_timeout": None,
            "_unique_id": uuid4().hex,
            "_context_request_id": f"req-{uuid4()}",
        }
        return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()

    async def _past(self, _: DeliveredMessage) -> None:
        raise AssertionError("the library has a delivery that was to be taken past it")

    def _on_reply(self, message: Delivered) -> None:
        self.last = message.body
        self._room.release()
        self._missing -= 1
        if self._missing == 0:
            self._all.set()


@dataclass
class Side:
    """One of those that are compared: its process, and its repetitions."""

    pid: int
    calls: Calls
    per_s: list[float] = field(default_factory=list)
    us: list[float] = field(default_factory=list)

    async def turn(self, number: int) -> None:
        before = cpu(self.pid)
        took = await self.calls.run(number)
        self.per_s.append(number / took)
        self.us.append((cpu(self.pid) - before) / number * US)
        answered(self.calls.last)


def answered(body: bytes) -> None:
    """Both do what is measured: an error would be quicker."""
    inner = json.loads(json.loads(body)["oslo.message"])
    if inner["failure"] or set(inner["result"]) != {"host", "agent_version", "observed_at"}:
        raise AssertionError(f"this is no answer to ping: {inner}")


async def oslo(bed: Bed) -> list[Figure]:
    """ping with 64 in flight, by turns, on transient classic queues, as the library has them; its server has the
    threading executor. CPU is that of the server's process."""
    number = bed.many(CALLS)
    async with agent(bed) as ours, server(bed) as theirs:
        for side in (ours, theirs):
            await side.calls.run(min(number, 500))  # the first ones find nothing warm
        for _ in range(bed.repetitions):
            await ours.turn(number)
            await theirs.turn(number)
    rate, other_rate = _figure("agent", "calls/s", ours.per_s), _figure("oslo.messaging", "calls/s", theirs.per_s)
    cost, other_cost = (
        _figure("agent, CPU", "us/call", ours.us),
        _figure("oslo.messaging, CPU", "us/call", theirs.us),
    )
    return [
        rate,
        other_rate,
        ratio("agent / oslo.messaging, calls/s", rate, other_rate),
        cost,
        other_cost,
        ratio("agent / oslo.messaging, CPU", cost, other_cost),
    ]


def _figure(name: str, unit: str, values: list[float]) -> Figure:
    return Figure(name, unit, tuple(values))


@asynccontextmanager
async def agent(bed: Bed) -> AsyncIterator[Side]:
    """Declared as the library declares its own."""
    topic = f"a-{uuid4().hex[:8]}"
    settings = {
        "RPC__EXCHANGE": topic,
        "RPC__TOPIC": topic,
        "RPC__EXCHANGE_DURABLE": "false",
        "RPC__QUEUE_TYPE": "classic",
        "RPC__DURABLE": "false",
    }
    async with bed.agent(settings) as daemon, Calls(bed.broker.url, topic, daemon.host) as calls:
        yield Side(daemon.pid, calls)


@asynccontextmanager
async def server(bed: Bed) -> AsyncIterator[Side]:
    topic = f"s-{uuid4().hex[:8]}"
    async with Oslo(bed.broker.url, bed.directory / f"{topic}.log", exchange=topic, topic=topic) as library:
        await library.do("serve", topic=topic, server="h1")
        async with Calls(bed.broker.url, topic, "h1") as calls:
            yield Side(library.pid, calls)
