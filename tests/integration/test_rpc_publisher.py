"""Messages that are published together: each has an outcome of its own, all keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from pydantic import SecretStr

from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome, Publisher
from agent.rpc.tasks import end
from agent.settings import Amqp
from tests.integration.rpc_ground import Peer, eventually, new_names, peer_on, soon
from tests.rig.broker import Broker


@asynccontextmanager
async def publishing(
    broker: Broker, heartbeat_s: int = 10, confirm_s: float = 20.0
) -> AsyncIterator[tuple[Publisher, Peer, str]]:
    """A publisher, and somebody with a queue; its name."""
    names = new_names()
    amqp = Amqp(url=SecretStr(broker.url), reconnect_s=0.1, heartbeat_s=heartbeat_s)
    publisher = Publisher(amqp, "a test", confirm_s=confirm_s)
    running = asyncio.create_task(publisher.run())
    try:
        async with peer_on(broker.url, names) as peer, peer.connection.channel() as channel:
            queue = await channel.declare_queue(names.commands, auto_delete=True)
            await soon(publisher.connected())
            yield publisher, peer, queue.name
    finally:
        await end(running)


def message(queue: str, body: bytes = b"{}") -> Outgoing:
    return Outgoing("", queue, body, uuid4().hex, persistent=False)


async def bodies(peer: Peer, queue: str, count: int) -> list[bytes]:
    async with peer.connection.channel() as channel:
        there = await channel.get_queue(queue)
        return [(await there.get(no_ack=True)).body for _ in range(count)]


async def test_each_of_a_bunch_has_its_own_outcome_and_those_that_can_go_go(broker: Broker) -> None:
    async with publishing(broker) as (publisher, peer, queue):
        bunch = [
            message(queue, b"1"),
            message("nobody"),
            message("k" * 256),  # longer than AMQP can say
            Outgoing("no-such-exchange", queue, b"{}", uuid4().hex),
            message(queue, b"2"),
        ]
        assert await publisher.publish(bunch) == [
            Outcome.CONFIRMED,
            Outcome.UNROUTABLE,
            Outcome.REFUSED,
            Outcome.REFUSED,
            Outcome.CONFIRMED,
        ]
        assert await bodies(peer, queue, 2) == [b"1", b"2"]


async def test_many_at_once_keep_their_order_also_between_bunches(broker: Broker) -> None:
    async with publishing(broker) as (publisher, peer, queue):
        bunches = [[message(queue, b"%d" % (100 * i + k)) for k in range(100)] for i in range(5)]
        done = await asyncio.gather(*(publisher.publish(bunch) for bunch in bunches))
        assert {outcome for outcomes in done for outcome in outcomes} == {Outcome.CONFIRMED}
        assert await bodies(peer, queue, 500) == [b"%d" % i for i in range(500)]
        below = publisher._channels[""]._channel
        assert not below.confirmations  # nothing is kept of what is done
        assert not below.message_id_delivery_tag


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 400_000])
async def test_a_body_of_any_size_arrives_whole(broker: Broker, size: int) -> None:
    """A frame holds 131,072 bytes, eight of them its own."""
    async with publishing(broker) as (publisher, peer, queue):
        body = bytes(at % 251 for at in range(size))
        assert await publisher.publish([message(queue, body)]) == [Outcome.CONFIRMED]
        assert await bodies(peer, queue, 1) == [body]


async def test_who_stops_waiting_harms_nobody_who_comes_after(broker: Broker) -> None:
    async with publishing(broker) as (publisher, peer, queue):
        for to in (queue, "nobody"):
            impatient = asyncio.create_task(publisher.publish([message(to, b"sent")]))
            await asyncio.sleep(0)
            await end(impatient)
        assert await publisher.publish([message("nobody"), message(queue, b"after")]) == [
            Outcome.UNROUTABLE,
            Outcome.CONFIRMED,
        ]
        found = await bodies(peer, queue, await peer.depth(queue))
        assert found in ([b"sent", b"after"], [b"after"])


async def test_who_publishes_while_the_broker_closes_a_channel_costs_others_nothing(broker: Broker) -> None:
    """Whatever is written on it after that closes the whole connection."""
    async with publishing(broker) as (publisher, _, queue):

        def to_no_exchange() -> asyncio.Task[list[Outcome]]:
            refused = Outgoing("no-such-exchange", queue, b"{}", uuid4().hex)
            return asyncio.create_task(publisher.publish([refused]))

        for _ in range(10):
            begun = [to_no_exchange()]
            while not begun[0].done():
                begun.append(to_no_exchange())
                await asyncio.sleep(0)
            others = asyncio.create_task(publisher.publish([message(queue)] * 3))
            assert await soon(others) == [Outcome.CONFIRMED] * 3
            assert {outcome for (outcome,) in await soon(asyncio.gather(*begun))} == {Outcome.REFUSED}


async def test_what_a_lost_connection_leaves_open_is_unknown_at_once(broker: Broker) -> None:
    async with publishing(broker) as (publisher, _, queue):
        await asyncio.to_thread(broker.freeze)
        try:
            waiting = [asyncio.create_task(publisher.publish([message(queue)] * 3)) for _ in range(2)]
            done, _ = await asyncio.wait(waiting, timeout=0.1)
            assert not done
            resetting = asyncio.create_task(publisher.reset())
            outcomes = await soon(asyncio.gather(*waiting))
        finally:
            await asyncio.to_thread(broker.thaw)
        assert outcomes == [[Outcome.UNKNOWN] * 3] * 2
        await soon(resetting)
        await soon(publisher.connected())
        await eventually(lambda: publisher.can_publish())
        assert await publisher.deliver(message(queue)) is Outcome.CONFIRMED


async def test_what_a_broker_leaves_open_that_falls_silent_is_unknown(broker: Broker) -> None:
    """The connection is given up before the confirms are: nobody may be told that the broker doesn't want it."""
    async with publishing(broker, heartbeat_s=2) as (publisher, _, queue):
        assert await publisher.publish([message(queue)]) == [Outcome.CONFIRMED]
        await asyncio.to_thread(broker.freeze)
        try:
            outcomes = await soon(publisher.publish([message(queue)] * 2))
        finally:
            await asyncio.to_thread(broker.thaw)
        assert outcomes == [Outcome.UNKNOWN] * 2


async def test_what_took_too_long_is_tried_again_on_another_connection_only(broker: Broker) -> None:
    """Two of one message_id on a channel could not be told apart."""
    async with publishing(broker, confirm_s=0.5) as (publisher, _, queue):
        await asyncio.to_thread(broker.freeze)
        try:
            assert await soon(publisher.publish([message(queue)])) == [Outcome.UNKNOWN]
            assert not publisher.can_publish()
        finally:
            await asyncio.to_thread(broker.thaw)
        await soon(publisher.connected())
