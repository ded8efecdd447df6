"""Events and answers on their way out: all of them, in order, once if the broker lets us, never lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from agent.journal.records import Address, Answer
from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome
from tests.integration.rpc_ground import KILLABLE, SOON, Edge, Peer, body_of, edge_on, eventually, peer_on, soon
from tests.rig.broker import Broker

FAR_S = 1000.0
"""Seconds for which a reply that no queue takes is kept, where a test says when it is dropped."""


def address(reply_to: str, exchange: str = "") -> Address:
    return Address(format="plain", reply_to=reply_to, correlation_id="c1", exchange=exchange)


@asynccontextmanager
async def alarmed(broker: Broker) -> AsyncIterator[None]:
    """The broker is out of memory: it stops reading from connections that publish."""
    await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.00001")
    try:
        yield
    finally:
        await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.4")


async def sequences(peer: Peer, edge: Edge, count: int) -> list[int]:
    """Of the events in the durable queue, the first `count`."""
    found: list[int] = []
    async with peer.connection.channel() as channel:
        queue = await channel.get_queue(edge.names.events)
        async with queue.iterator() as messages:
            async for message in messages:
                found.append(int(body_of(message)["sequence"]))
                await message.ack()
                if len(found) == count:
                    break
    return found


async def test_an_event_is_a_cloud_event_under_its_instances_key(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        uuid = uuid4()
        record = edge.outbox.add_event("compute.instance.power_state", uuid, old="running", new="paused")
        await edge.outbox.emptied()
        async with peer.connection.channel() as channel:
            message = await (await channel.get_queue(edge.names.events)).get()
            await message.ack()
    assert message.routing_key == f"compute.instance.power_state.{uuid}"
    assert message.message_id == f"{edge.outbox.stream}:1"
    assert message.content_type == "application/cloudevents+json"
    assert message.delivery_mode == 2
    body = body_of(message)
    assert body["specversion"] == "1.0"
    assert body["id"] == message.message_id
    assert body["source"] == "/compute/h1"
    assert body["subject"] == str(uuid)
    assert body["sequence"] == "00000000000000000001"
    assert body["data"] == {"old": "running", "new": "paused"}
    assert record.time.isoformat()[:19] == body["time"][:19]


async def test_a_hosts_own_event_goes_under_its_name(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        async with peer.connection.channel() as channel:
            queue = await channel.declare_queue(auto_delete=True)
            await queue.bind(edge.names.events, routing_key="compute.host.started.h1")
            edge.outbox.add_event("compute.host.started")
            await edge.outbox.emptied()
            assert body_of(await queue.get())["type"] == "compute.host.started"


async def test_many_events_keep_their_order(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        for _ in range(500):
            edge.outbox.add_event("compute.instance.power_state", uuid4())
        await edge.outbox.emptied()
        assert await soon(sequences(peer, edge, 500)) == list(range(1, 501))


async def test_an_answer_reaches_its_caller_once(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        async with peer.replies(bound=True) as (name, got):
            edge.outbox.add_reply(address(name), Answer(result={"operation_id": "o1"}))
            edge.outbox.add_reply(address(name, edge.names.replies), Answer(error={"code": "busy"}))
            await edge.outbox.emptied()
            bodies = [body_of(await soon(got.get())) for _ in range(2)]
            assert got.empty()
    assert {"result": {"operation_id": "o1"}} in bodies
    assert {"error": {"code": "busy"}} in bodies


async def test_an_answer_that_nobody_takes_is_dropped_in_the_end_and_holds_up_nobody(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.sender._homeless_s = FAR_S
        for number in range(100):
            edge.outbox.add_reply(address(f"gone{number}"), Answer(result={}))
        edge.outbox.add_reply(address("gone", "no-such-exchange"), Answer(result={}))
        async with peer.replies() as (name, got):
            edge.outbox.add_reply(address(name), Answer(result={"mine": True}))
            assert body_of(await soon(got.get())) == {"result": {"mine": True}}
        # The others are tried for a while.
        await eventually(lambda: len(edge.sender._homeless) == len(edge.outbox.replies) == 101)
        since = {key: reply.since for key, reply in edge.sender._homeless.items()}
        for reply in edge.sender._homeless.values():
            reply.again = 0.0  # all are due at once, more than go out together
        await eventually(lambda: all(reply.again > 0 for reply in edge.sender._homeless.values()))
        assert {key: reply.since for key, reply in edge.sender._homeless.items()} == since
        edge.sender._homeless_s = 0.0
        await edge.outbox.emptied()


async def test_an_answer_finds_a_reply_queue_that_comes_late(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.sender._homeless_s = FAR_S
        name = f"late-{uuid4().hex}"
        edge.outbox.add_reply(address(name), Answer(result={}))
        await eventually(lambda: bool(edge.sender._homeless))
        async with peer.connection.channel() as channel:
            queue = await channel.declare_queue(name, auto_delete=True)
            await edge.outbox.emptied()
            assert await queue.get(fail=False) is not None


async def test_events_wait_while_the_broker_is_away_and_come_in_order(broker: Broker) -> None:
    async with edge_on(broker.url, queue_type=KILLABLE) as edge:
        edge.outbox.add_event("compute.instance.power_state", uuid4())
        await edge.outbox.emptied()
        await asyncio.to_thread(broker.kill)
        for _ in range(200):
            edge.outbox.add_event("compute.instance.power_state", uuid4())
        await eventually(lambda: not edge.publisher.health().link.up)
        await asyncio.to_thread(broker.start)
        await edge.outbox.emptied()
        async with peer_on(broker.url, edge.names) as peer:
            assert await soon(sequences(peer, edge, 201)) == list(range(1, 202))


async def test_a_broker_that_is_killed_meanwhile_loses_no_event(broker: Broker) -> None:
    async with edge_on(broker.url, queue_type=KILLABLE) as edge:

        async def produce() -> None:
            for _ in range(1500):
                edge.outbox.add_event("compute.instance.power_state", uuid4())
                await asyncio.sleep(0.001)

        producing = asyncio.create_task(produce())
        await eventually(lambda: edge.outbox._sequence > 300)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await producing
        await edge.outbox.emptied()
        async with peer_on(broker.url, edge.names) as peer:
            depth = await peer.depth(edge.names.events)
            found = await soon(sequences(peer, edge, depth))
    assert sorted(set(found)) == list(range(1, 1501))
    # Without the repeats they are in order, so whoever drops what isn't new sees them right.
    news, last = [], 0
    for sequence in found:
        if sequence > last:
            news.append(sequence)
            last = sequence
    assert news == list(range(1, 1501))


async def test_while_the_broker_is_blocked_an_event_waits_and_is_published_once(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.publisher._confirm_s = 2.0
        async with alarmed(broker):
            edge.outbox.add_event("compute.instance.power_state", uuid4())
            await soon(_blocked(edge))
            # Far longer than a confirm may take: the time doesn't count.
            until = time.monotonic() + 5.0
            while time.monotonic() < until:
                states = await asyncio.to_thread(broker.rabbitmqctl, "list_connections", "state")
                assert "blocked" in states.split()
            assert edge.outbox.events
            # Nothing is lost meanwhile: commands still come, on their own connection.
            assert edge.consumer.health().consuming
        await edge.outbox.emptied()
        assert await peer.depth(edge.names.events) == 1


async def _blocked(edge: Edge) -> None:
    while edge.publisher.health().blocked_since is None:
        await asyncio.sleep(0.01)


async def test_a_broker_that_hangs_is_left_and_the_event_sent_again_under_its_id(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        edge.publisher._confirm_s = 0.3
        await asyncio.to_thread(broker.freeze)
        try:
            edge.outbox.add_event("compute.instance.power_state", uuid4())
            await eventually(lambda: not edge.publisher._connected.is_set())
        finally:
            await asyncio.to_thread(broker.thaw)
        edge.publisher._confirm_s = 20
        await edge.outbox.emptied()
        async with peer_on(broker.url, edge.names) as peer:
            found = await soon(sequences(peer, edge, await peer.depth(edge.names.events)))
    assert set(found) == {1}


async def test_an_exchange_that_was_deleted_is_declared_again(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        async with peer.connection.channel() as channel:
            await channel.exchange_delete(edge.names.events)
        edge.outbox.add_event("compute.instance.power_state", uuid4())
        await edge.outbox.emptied()
        assert await peer.depth(edge.names.events) == 1


async def test_an_exchange_for_answers_that_was_deleted_is_declared_again(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        async with peer.connection.channel() as channel:
            await channel.exchange_delete(edge.names.dead_letters)
        edge.outbox.add_reply(address("h1", edge.names.dead_letters), Answer(error={"code": "internal"}))
        await edge.outbox.emptied()
        assert await peer.depth(edge.names.dead_letters) == 1


async def test_a_refused_publish_harms_no_other_exchange(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        nowhere = Outgoing("no-such-exchange", "k", b"", "1")
        unroutable = Outgoing(edge.names.replies, "nobody", b"", "2")
        fine = Outgoing(edge.names.events, "k", b"{}", "3", mandatory=False)
        outcomes = await edge.publisher.publish([nowhere, unroutable, fine])
        assert outcomes == [Outcome.REFUSED, Outcome.UNROUTABLE, Outcome.CONFIRMED]
        assert await edge.publisher.deliver(fine) is Outcome.CONFIRMED


async def test_progress_is_told_at_once_and_never_blocks(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        uuid = uuid4()
        async with peer.connection.channel() as channel:
            queue = await channel.declare_queue(auto_delete=True)
            await queue.bind(edge.names.events, routing_key=f"compute.operation.progress.{uuid}")
            got: asyncio.Queue[object] = asyncio.Queue()
            await queue.consume(got.put, no_ack=True)
            edge.ephemeral.tell("compute.operation.progress", uuid, {"progress": 0.5})
            message = await soon(got.get())
            async with alarmed(broker):
                for _ in range(5000):
                    edge.ephemeral.tell("compute.operation.progress", uuid, {"progress": 0.6})
            assert len(edge.ephemeral._waiting) <= 1000
    body = body_of(message)  # type: ignore[arg-type]
    assert "sequence" not in body
    assert body["data"] == {"progress": 0.5}
    assert message.delivery_mode == 1  # type: ignore[attr-defined]


async def test_flush_waits_for_what_is_unsent(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        for _ in range(100):
            edge.outbox.add_event("compute.host.stopping")
        assert await edge.sender.flush(SOON)
        assert not edge.outbox.events
        edge.sender._homeless_s = FAR_S
        edge.outbox.add_reply(address("nobody"), Answer(result={}))
        assert not await edge.sender.flush(0.2)
