"""What one caller waits for: the agent's own share of a spawn, the latency of a ping."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from uuid import uuid4

import aio_pika

from tests.bench.bed import Bed
from tests.bench.figures import Figure, percentile, ratio
from tests.bench.load import instance
from tests.e2e.plain import PlainClient

SPAWNS = 200
PINGS = 500
MS = 1000.0


async def spawn_share(bed: Bed) -> list[Figure]:
    """One spawn at a time, as get_operation tells of it; `hypervisor` is the make-believe one's share."""
    shares: dict[str, list[float]] = {name: [] for name in ("total", "own", "journal", "libvirt", "queued")}
    call: list[float] = []
    async with bed.agent() as agent, PlainClient(bed.broker.url, agent.host) as client:
        for _ in range(bed.repetitions):
            found: dict[str, list[float]] = {name: [] for name in shares}
            waited = []
            for _ in range(bed.many(SPAWNS)):
                began = time.monotonic()
                spawned = await client.call("spawn", instance(str(uuid4())))
                waited.append(time.monotonic() - began)
                told = await client.call("get_operation", {"operation_id": spawned["operation_id"]})
                for name, values in found.items():
                    values.append(told["operation"]["shares"].get(name, 0.0))
            call.append(percentile(waited, 0.5) * MS)
            for name, values in found.items():
                shares[name].append(percentile(values, 0.5) * MS)
    return [
        Figure("the caller waits, p50", "ms", tuple(call)),
        Figure("of that, the operation's turn, p50", "ms", tuple(shares["total"])),
        Figure("of that, own, p50", "ms", tuple(shares["own"])),
        Figure("of own, waiting for the journal's disk, p50", "ms", tuple(shares["journal"])),
        Figure("of the turn, hypervisor, p50", "ms", tuple(shares["libvirt"])),
        Figure("before its turn, p50", "ms", tuple(shares["queued"])),
    ]


async def ping(bed: Bed) -> list[Figure]:
    """One call at a time on the commands' queue, beside a bare aio-pika server that echoes on one like it."""
    number = bed.many(PINGS)
    ours, bare = list[list[float]](), list[list[float]]()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(bed.agent())
        client = await stack.enter_async_context(PlainClient(bed.broker.url, agent.host))
        echo = await stack.enter_async_context(PlainClient(bed.broker.url, f"echo-{uuid4().hex[:8]}"))
        server = await aio_pika.connect(bed.broker.url)
        stack.push_async_callback(server.close)
        await serve_echo(server, f"compute.{echo.host}")
        for _ in range(bed.repetitions):
            ours.append(await _latencies(client, number))
            bare.append(await _latencies(echo, number))
    mine, theirs = _at(0.5, "agent, p50", ours), _at(0.5, "floor: bare echo, p50", bare)
    return [
        mine,
        _at(0.99, "agent, p99", ours),
        theirs,
        _at(0.99, "floor: bare echo, p99", bare),
        ratio("agent / floor, p50", mine, theirs),
    ]


async def _latencies(client: PlainClient, number: int) -> list[float]:
    found = []
    for _ in range(number):
        began = time.monotonic()
        await client.call("ping")
        found.append((time.monotonic() - began) * MS)
    return found


def _at(part: float, name: str, repetitions: list[list[float]]) -> Figure:
    return Figure(name, "ms", tuple(percentile(values, part) for values in repetitions))


async def serve_echo(server: aio_pika.abc.AbstractConnection, name: str) -> None:
    """In the bench's own process: it waits while the client does."""
    channel = await server.channel()
    queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
    await queue.bind("compute", name)

    async def answer(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        await message.ack()
        reply = aio_pika.Message(b'{"result": {}}', correlation_id=message.correlation_id)
        await channel.default_exchange.publish(reply, str(message.reply_to))

    await queue.consume(answer)
    await asyncio.sleep(0)
