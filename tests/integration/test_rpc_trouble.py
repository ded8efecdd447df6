"""Each kind of trouble with the broker, on each of the two connections: noticed by itself, and mended without
a restart. The watchdog looks after the edge as it does in the daemon; systemd is a list.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import uuid4

import pytest
from aio_pika.abc import AbstractConnection
from pydantic import SecretStr

from agent.health import Health
from agent.journal.records import Answer
from agent.names import Names
from agent.pulse import Pulses
from agent.rpc.connection import Link
from agent.rpc.edge import Edge as WholeEdge
from agent.rpc.probe import CONTENT_TYPE
from agent.rpc.tasks import end
from agent.settings import Amqp
from agent.watchdog import Patience, Watchdog
from tests.chaos.proxy import Proxy, Way
from tests.integration.rpc_ground import (
    Edge,
    Peer,
    body_of,
    edge_on,
    eventually,
    make_edge,
    new_names,
    peer_on,
    soon,
    stop_args,
)
from tests.integration.test_rpc_outbox import address, alarmed
from tests.rig.broker import Broker
from tests.unit.web.well import WELL

EVERY = 0.2
"""Seconds between two probes: deafness is noticed after three."""
PATIENCE_S = 120.0
"""Seconds for what the edge does by itself: a deadline, no measure."""
PING = {"method": "ping"}
PATIENCE = Patience(rebuild=2.0, ill=0.6, hopeless=6.0, works=3.0)


_named: ContextVar[list[bytes]] = ContextVar("named")
"""What the connection that a pump belongs to has said of itself."""
NAME = b"commands"
DELIVERY = b"\x00\x3c\x00\x3c"  # basic.deliver


class Deafening(Proxy):
    """A link that can keep all deliveries from connections of one name, and lets everything else pass."""

    deafens = False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _named.set([])
        await super()._connected(reader, writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        sieve = Sieve(self, reader, up=way is self.up)
        await super()._pump(cast("asyncio.StreamReader", sieve), writer, way)


@dataclass
class Sieve:
    link: Deafening
    reader: asyncio.StreamReader
    up: bool

    async def read(self, size: int) -> bytes:
        while True:
            data = await self.reader.read(size)
            if self.up and NAME in data:
                _named.get().append(NAME)
            held_back = self.link.deafens and not self.up and _named.get() and DELIVERY in data
            if not held_back:
                return data


@dataclass
class Watched:
    """An edge, the way to its broker, somebody else on that broker, and what systemd is told."""

    edge: Edge
    link: Deafening
    peer: Peer
    dog: Watchdog
    told: list[str] = field(default_factory=list)

    async def works(self) -> None:
        """A command, a query, an answer and an event come through."""
        edge, peer = self.edge, self.peer
        identity = uuid4().hex
        await self.until(lambda: edge.consumer.health().consuming and edge.publisher.can_publish())
        await peer.send(stop_args(), message_id=identity)
        await edge.desk.until(lambda: identity in edge.desk.identities())
        assert "result" in await peer.ask(PING, edge.names.queries)
        edge.outbox.add_event("compute.host.started")
        await edge.outbox.emptied()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def before_it_lets_go(self, condition: Callable[[], bool]) -> None:
        await self.until(lambda: condition() or not self.dog.verdict.feed)
        assert condition()

    async def heard(self) -> None:
        """From now on."""
        moment = asyncio.get_running_loop().time()
        await self.until(lambda: self.edge.probe.heard_since(moment))

    @property
    def connections(self) -> tuple[AbstractConnection | None, AbstractConnection | None]:
        return self.edge.consumer._link.connection, self.edge.publisher._link.connection


@asynccontextmanager
async def watched(broker: Broker, every: float = EVERY, **rpc: Any) -> AsyncIterator[Watched]:
    async with Deafening("127.0.0.1", broker.identity.port) as link:
        through = broker.url.replace(f":{broker.identity.port}/", f":{link.port}/")
        async with (
            edge_on(through, new_names(), check_interval_s=every, **rpc) as edge,
            peer_on(broker.url, edge.names) as peer,
        ):
            whole = WholeEdge(edge.amqp, edge.names, edge.consumer, edge.publisher, edge.probe)
            told: list[str] = []
            dog = Watchdog(whole, Pulses(), replace(PATIENCE, ill=3 * every), look, tell=told.append)
            task = asyncio.create_task(dog.run())
            try:
                ground = Watched(edge, link, peer, dog, told)
                await ground.heard()
                yield ground
            finally:
                link.mend()
                await end(task)


async def look() -> Health:
    return WELL


# --- the agent's own message ---


async def test_the_agent_hears_itself_through_both_queues_and_nothing_comes_of_it(broker: Broker) -> None:
    async with watched(broker) as ground:
        edge = ground.edge
        await ground.until(lambda: all(way.number >= 5 for way in edge.probe._ways))
        assert edge.probe.took_s is not None
        assert edge.probe.took_s < 10
        assert (edge.desk.begun, edge.desk.reading, edge.desk.refused) == ([], 0, [])
        assert await ground.peer.depth(edge.names.dead_letters) == 0


async def test_probes_do_not_pile_up_while_commands_are_paused(broker: Broker) -> None:
    async with watched(broker) as ground:
        edge = ground.edge
        edge.desk.most = 1
        await ground.peer.send(stop_args(), message_id="m1")
        await ground.peer.send(stop_args(), message_id="m2")
        await ground.until(lambda: edge.consumer.health().paused_since is not None)
        for _ in range(5):
            await ground.heard()
        # The second command, and a probe at most that was on its way when they were paused.
        assert 1 <= await ground.peer.depth(edge.names.commands) <= 2
        assert ground.dog.verdict.feed
        edge.desk.most = None
        edge.desk.room.set()
        await ground.works()


async def test_probes_of_an_agent_that_is_gone_go_too(broker: Broker) -> None:
    names = new_names()
    async with edge_on(broker.url, names, check_interval_s=0.05):
        pass
    async with peer_on(broker.url, names) as peer:
        for _ in range(10):
            await peer.send(b"", names.queries, content_type=CONTENT_TYPE, expiration=1, message_id="x")
        async with edge_on(broker.url, names, check_interval_s=0.05) as edge:
            assert "result" in await peer.ask(PING, names.queries)
            await eventually(lambda: edge.probe.heard_at is not None)
        assert await peer.depth(names.queries) <= 1
        assert await peer.depth(names.commands) <= 1
        assert await peer.depth(names.dead_letters) == 0


async def test_a_forged_probe_does_nothing_and_a_command_dressed_as_one_is_refused(broker: Broker) -> None:
    async with watched(broker) as ground:
        edge = ground.edge
        await ground.peer.send(b"", content_type=CONTENT_TYPE, message_id="forged")
        command = json.dumps(stop_args()).encode()
        await ground.peer.send(command, content_type=CONTENT_TYPE, message_id="m1")
        letter = await ground.peer.dead_letter()
        assert letter.message_id == "m1"
        assert letter.headers["x-error-code"] == "invalid_request"
        assert edge.desk.begun == []
        await ground.works()


# --- what is deleted under us ---


def queues_of(names: Names) -> dict[str, str]:
    return {
        "commands": names.commands,
        "queries": names.queries,
        "fanout": names.fanout_queue,
        "shared": names.shared,
        "events": names.events,
        "dead letters": names.dead_letters,
    }


def exchanges_of(names: Names) -> dict[str, str]:
    return {
        "requests": names.exchange,
        "fanout": names.fanout,
        "replies": names.replies,
        "events": names.events,
        "dead letters": names.dead_letters,
    }


async def routes(ground: Watched) -> None:
    """A message reaches each queue from its exchange."""
    edge, peer = ground.edge, ground.peer
    await ground.works()
    for queue, exchange, key in (
        (edge.names.shared, edge.names.exchange, edge.names.shared),
        (edge.names.fanout_queue, edge.names.fanout, ""),
    ):
        async with peer.replies() as (name, got):
            await peer.send(PING, key, exchange=exchange, reply_to=name, correlation_id=queue)
            assert "result" in body_of(await soon(got.get()))
    async with peer.replies(bound=True) as (name, got):
        edge.outbox.add_reply(address(name, edge.names.replies), Answer(result={"mine": True}))
        assert body_of(await soon(got.get())) == {"result": {"mine": True}}
    before = await peer.depth(edge.names.events)
    edge.outbox.add_event("compute.instance.power_state", uuid4())
    await edge.outbox.emptied()
    # More than one, when the connection was lost before the broker had confirmed it.
    assert await peer.depth(edge.names.events) > before
    await peer.send(b"{", message_id="bad")
    assert (await peer.dead_letter()).message_id == "bad"


OURS = {"queues": queues_of, "exchanges": exchanges_of}


@pytest.mark.parametrize(("what", "which"), [(what, which) for what in OURS for which in OURS[what](new_names())])
async def test_what_was_deleted_is_there_again_with_its_bindings(broker: Broker, what: str, which: str) -> None:
    async with watched(broker) as ground:
        name = OURS[what](ground.edge.names)[which]
        async with ground.peer.connection.channel() as channel:
            await (channel.queue_delete(name) if what == "queues" else channel.exchange_delete(name))
        await there(broker, what, name)
        await bound(broker, ground.edge)
        await ground.heard()
        await routes(ground)


async def test_a_binding_that_was_taken_away_is_there_again(broker: Broker) -> None:
    async with watched(broker) as ground:
        names = ground.edge.names
        async with ground.peer.connection.channel() as channel:
            for queue in (names.commands, names.queries, names.shared):
                await (await channel.get_queue(queue)).unbind(names.exchange, routing_key=queue)
            await (await channel.get_queue(names.fanout_queue)).unbind(names.fanout, routing_key=names.shared)
        await bound(broker, ground.edge)
        await ground.heard()
        await routes(ground)


async def test_the_queue_of_commands_is_there_again_also_when_it_is_deleted_while_they_are_paused(
    broker: Broker,
) -> None:
    """Nobody consumes it then, so nobody is told."""
    async with watched(broker) as ground:
        edge = ground.edge
        edge.desk.most = 1
        await ground.peer.send(stop_args(), message_id="m1")
        await ground.peer.send(stop_args(), message_id="m2")
        await ground.until(lambda: edge.consumer.health().paused_since is not None)
        async with ground.peer.connection.channel() as channel:
            await channel.queue_delete(edge.names.commands)
        await there(broker, "queues", edge.names.commands)
        edge.desk.most = None
        edge.desk.room.set()
        await ground.works()


async def there(broker: Broker, what: str, name: str) -> None:
    """Wait until the broker has it."""
    async with asyncio.timeout(PATIENCE_S):
        while name not in (await asyncio.to_thread(broker.rabbitmqctl, f"list_{what}", "name")).split():
            await asyncio.sleep(0.01)


async def bound(broker: Broker, edge: Edge) -> None:
    """Wait until the broker has all bindings: they are declared last, one after the other."""
    wanted = {f"{queue.bound_to}\t{queue.name}\t{queue.key}" for queue in edge.topology._layout.queues("")}
    columns = ("source_name", "destination_name", "routing_key")
    async with asyncio.timeout(PATIENCE_S):
        while wanted - set((await asyncio.to_thread(broker.rabbitmqctl, "list_bindings", *columns)).splitlines()):
            await asyncio.sleep(0.01)


# --- connections ---


@pytest.mark.parametrize("which", ["commands", "events and answers"])
async def test_a_connection_that_the_broker_closes_is_made_anew(broker: Broker, which: str) -> None:
    async with watched(broker) as ground:
        await asyncio.to_thread(close_connection, broker, ground.edge, which)
        await ground.heard()
        await ground.works()
        assert ground.dog.verdict.feed


def close_connection(broker: Broker, edge: Edge, which: str) -> None:
    name = (edge.consumer._link if which == "commands" else edge.publisher._link)._name
    rows = broker.rabbitmqctl("list_connections", "pid", "client_properties").splitlines()
    (pid,) = [row.split("\t")[0] for row in rows if f'"{name}"' in row]
    broker.rabbitmqctl("close_connection", pid, "a test")


HALVES: dict[str, Callable[[Proxy], Iterable[Way]]] = {
    "what the agent sends is lost": lambda link: [link.up],
    "what the broker sends is lost": lambda link: [link.down],
    "both": lambda link: [link.up, link.down],
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
async def test_a_half_open_connection_is_noticed_in_a_few_probes_and_left(
    broker: Broker, half: Callable[[Proxy], Iterable[Way]]
) -> None:
    """Heartbeats would take half a minute."""
    async with watched(broker) as ground:
        before = ground.connections
        ground.link.drop(half(ground.link))
        await ground.until(lambda: before[0] not in ground.connections or before[1] not in ground.connections)
        assert ground.dog.verdict.feed, "a fresh connection gets no further"
        ground.link.mend()
        await ground.heard()
        await ground.works()
        assert ground.dog.verdict.feed


async def test_an_alarm_of_the_broker_is_waited_for_and_nothing_is_built_anew(broker: Broker) -> None:
    every = 2.0  # as a broker that is only slow isn't to be taken for one that is deaf
    async with watched(broker, every) as ground:
        before = ground.connections
        async with alarmed(broker):
            ground.edge.outbox.add_event("compute.host.started")
            await ground.until(lambda: ground.edge.publisher.health().blocked_since is not None)
            ground.told.clear()
            await asyncio.sleep(4 * every)  # longer than deafness takes to be noticed
            assert "WATCHDOG=1" in ground.told
            assert ground.dog.verdict.feed
            assert ground.connections == before
        await ground.heard()
        await ground.works()
        assert ground.connections == before
        health = ground.edge.publisher.health()
        assert health.blocked_since is None


async def test_a_broker_that_is_away_and_back_is_waited_for(broker: Broker) -> None:
    async with watched(broker) as ground:
        await asyncio.to_thread(broker.stop)
        await ground.until(lambda: not ground.edge.consumer.health().link.up)
        await ground.until(lambda: not ground.edge.publisher.health().link.up)
        assert ground.edge.consumer.health().link.error
        ground.told.clear()
        await ground.until(lambda: ground.told.count("WATCHDOG=1") > 10)
        assert ground.dog.verdict.feed
        await asyncio.to_thread(broker.start)
        await ground.until(lambda: ground.edge.consumer.health().link.up)
        async with peer_on(broker.url, ground.edge.names) as peer:
            ground.peer = peer
            await ground.heard()
            await ground.works()


async def test_a_frozen_broker_is_waited_for(broker: Broker) -> None:
    async with watched(broker) as ground:
        broker.freeze()
        try:
            await ground.until(lambda: not ground.edge.consumer.health().link.up)
            assert "the broker was silent" in str(ground.edge.consumer.health().link.error)
            ground.told.clear()
            await asyncio.sleep(5 * EVERY)
            assert "WATCHDOG=1" in ground.told
            assert ground.dog.verdict.feed
        finally:
            broker.thaw()
        await ground.heard()
        await ground.works()


async def test_a_lost_connection_is_told_before_it_is_put_away(broker: Broker) -> None:
    """A frozen broker doesn't answer to that either."""
    lost, held = asyncio.Event(), list[AbstractConnection]()
    link = Link(Amqp(url=SecretStr(broker.url)), "a link")

    async def session(connection: AbstractConnection) -> None:
        held.append(connection)
        link.up()
        await lost.wait()

    running = asyncio.create_task(link.run(session))
    await eventually(lambda: link.state.up)
    broker.freeze()
    try:
        lost.set()
        await eventually(lambda: not link.state.up)
        assert not held[0].is_closed
        lost.clear()
    finally:
        broker.thaw()
    await eventually(lambda: link.state.up)
    await end(running)


@pytest.fixture
def impatient(broker: Broker) -> Iterator[Broker]:
    """Closes a channel whose consumer doesn't acknowledge for two seconds, and looks twice a second."""
    broker.rabbitmqctl("eval", CONSUMER_TIMEOUT.format(timeout=2000, tick=500))
    yield broker
    broker.rabbitmqctl("eval", CONSUMER_TIMEOUT.format(timeout=1_800_000, tick=60_000))


CONSUMER_TIMEOUT = (
    "application:set_env(rabbit, consumer_timeout, {timeout}), "
    "application:set_env(rabbit, channel_tick_interval, {tick})."
)


async def test_a_channel_that_the_broker_closes_for_want_of_acknowledgements_is_opened_anew(
    impatient: Broker,
) -> None:
    async with watched(impatient) as ground:
        edge = ground.edge
        edge.desk.hold.clear()
        await ground.peer.send(stop_args(), message_id="m1")
        await edge.desk.until(lambda: len(edge.desk.begun) == 1)
        await ground.until(lambda: "delivery acknowledgement" in str(edge.consumer.health().link.error))
        edge.desk.hold.set()
        await edge.desk.until(lambda: edge.desk.identities().count("m1") >= 2)  # the journal knows the second
        await ground.heard()
        await ground.works()
        assert await ground.peer.depth(edge.names.commands) == 0


# --- hopeless ---


async def test_it_lets_go_only_when_a_fresh_connection_works_and_its_own_cannot_be_mended(broker: Broker) -> None:
    """What comes back to this agent's consumer is swallowed, and nothing else: as if the fault were its own."""
    async with watched(broker) as ground:
        before = ground.connections[0]
        ground.link.deafens = True
        await ground.before_it_lets_go(lambda: ground.edge.probe.deafness() is not None)
        await ground.before_it_lets_go(lambda: ground.connections[0] not in (None, before))
        await ground.until(lambda: not ground.dog.verdict.feed)
        ground.told.clear()
        await asyncio.sleep(3 * EVERY)
        assert ground.told == []
        assert "fresh connection" in str(ground.dog.verdict.why)
        ground.link.deafens = False
        await ground.heard()
        await ground.until(lambda: "WATCHDOG=1" in ground.told)


async def test_a_name_that_another_agent_has_is_no_reason_to_let_go(broker: Broker) -> None:
    async with watched(broker) as ground:
        second = make_edge(broker.url, ground.edge.names, check_interval_s=EVERY)
        whole = WholeEdge(second.amqp, second.names, second.consumer, second.publisher, second.probe)
        await second.start()
        await ground.until(lambda: second.consumer.health().trouble is not None)
        assert whole.state().excused
        await second.stop()


async def test_that_another_agent_has_the_name_is_told_once_however_often_it_is_tried(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with edge_on(broker.url) as edge:
        second = make_edge(broker.url, edge.names)
        await eventually(lambda: edge.consumer.health().link.up)
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="agent.rpc.connection"):
            await second.start()
            await eventually(lambda: second.consumer._link._attempts > 3)
            await second.stop()
    told = [
        record.getMessage() for record in caplog.records if f"{edge.names.host} commands" in record.getMessage()
    ]
    assert len([line for line in told if "has the host name" in line]) == 1
    assert not any("broker.connected" in line for line in told)


async def test_a_command_that_was_taken_and_is_not_accepted_is_seen_also_when_its_connection_is_gone(
    broker: Broker,
) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.hold.clear()
        await peer.send(stop_args(), message_id="held up")
        await eventually(lambda: edge.consumer.health().in_hand.count == 1)
        since = edge.consumer.health().in_hand.oldest
        await edge.consumer.reset()
        await eventually(lambda: edge.consumer.health().in_hand.count == 2)  # the broker has brought it again
        assert edge.consumer.health().in_hand.oldest == since
        edge.desk.hold.set()
        await eventually(lambda: edge.consumer.health().in_hand.count == 0)
        assert edge.consumer.health().in_hand.oldest is None
