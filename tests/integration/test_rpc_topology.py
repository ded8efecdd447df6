"""What an agent declares, and what it does when the broker has it otherwise."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelLockedResource

from agent.names import Names
from agent.rpc.connection import connect
from agent.rpc.topology import Layout, Topology
from tests.chaos.proxy import Proxy, Way
from tests.integration.rpc_ground import Edge, edge_on, eventually, make_edge, new_names, peer_on, stop_args
from tests.rig.broker import Broker


def listed(broker: Broker, what: str, names: Names, *columns: str) -> dict[str, dict[str, Any]]:
    rows = json.loads(broker.rabbitmqctl("--formatter", "json", f"list_{what}", "name", *columns))
    return {row["name"].removeprefix(names.topic): row for row in rows if row["name"].startswith(names.topic)}


def anew(edge: Edge, before: AbstractConnection | None) -> bool:
    """Whether the consumer has a new connection."""
    return edge.consumer._link.connection not in (None, before)


async def test_everything_is_declared_as_the_reference_says(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        names = edge.names
        exchanges = listed(broker, "exchanges", names, "type", "durable", "auto_delete")
        queues = listed(broker, "queues", names, "durable", "arguments", "type", "exclusive")
    assert {name: (row["type"], row["durable"]) for name, row in exchanges.items()} == {
        "": ("topic", True),
        "_fanout": ("fanout", False),
        ".replies": ("direct", True),
        ".events": ("topic", True),
        ".dead": ("fanout", True),
    }
    assert queues[".h1"]["type"] == "quorum"
    assert queues[""]["type"] == "quorum"
    assert queues[".h1.query"]["type"] == "classic"
    assert queues[".h1.query"]["durable"]
    assert queues[".h1.agent"]["exclusive"]
    assert ["x-max-length", "signedint", 100_000] in [list(row) for row in queues[".events"]["arguments"]]
    assert ["x-message-ttl", "signedint", 14 * 24 * 3600 * 1000] in [list(r) for r in queues[".dead"]["arguments"]]
    assert len(queues) == 7


async def test_queue_type_and_events_queue_are_settings(broker: Broker) -> None:
    async with edge_on(broker.url, queue_type="classic", durable=False, events_queue=False) as edge:
        queues = listed(broker, "queues", edge.names, "type", "durable")
    assert queues[".h1"]["type"] == "classic"
    assert not queues[".h1"]["durable"]
    assert ".events" not in queues


async def test_declaring_again_changes_nothing(broker: Broker) -> None:
    edge = make_edge(broker.url, new_names())
    await edge.declare()
    await edge.declare()


async def test_a_drifted_queue_and_exchange_are_used_as_they_are_and_told_once(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    names = new_names()
    connection = await aio_pika.connect(broker.url)
    async with connection, connection.channel() as channel:
        await channel.declare_exchange(names.exchange, "topic", durable=False)
        await channel.declare_queue(names.commands, durable=True, arguments={"x-max-length": 7})
    with caplog.at_level(logging.WARNING, logger="agent.rpc.topology"):
        async with edge_on(broker.url, names) as edge, peer_on(broker.url, names) as peer:
            await peer.send(stop_args(), message_id="m1")
            await edge.desk.until(lambda: len(edge.desk.accepted) == 1)
    told = [record.getMessage() for record in caplog.records if record.name == "agent.rpc.topology"]
    assert len([line for line in told if f"queue {names.commands} " in line and "x-max-length" in line]) == 1
    assert len([line for line in told if f"exchange {names.exchange} " in line and "durable" in line]) == 1


async def test_a_user_who_may_declare_nothing_works_with_what_is_there(broker: Broker) -> None:
    names = new_names()
    edge = make_edge(broker.url, names)
    await edge.declare()
    user = f"u{names.topic}"
    await asyncio.to_thread(broker.rabbitmqctl, "add_user", user, "secret")
    # Its lock alone is its own to make.
    lock = names.lock.replace(".", r"\.")
    await asyncio.to_thread(broker.rabbitmqctl, "set_permissions", user, f"^{lock}$", ".*", ".*")
    url = broker.url.replace(f"{broker.identity.user}:{broker.identity.password}", f"{user}:secret")
    async with edge_on(url, names) as limited, peer_on(broker.url, names) as peer:
        await peer.send(stop_args(), message_id="m1")
        await limited.desk.until(lambda: len(limited.desk.accepted) == 1)


async def test_a_deleted_queue_is_declared_again_and_commands_go_on(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        for queue in (edge.names.commands, edge.names.queries):
            before = edge.consumer._link.connection
            async with peer.connection.channel() as channel:
                await channel.queue_delete(queue)
            await eventually(partial(anew, edge, before))
            await edge.consumer.consuming()
            assert "result" in await peer.ask({"method": "ping"}, edge.names.queries)
        await peer.send(stop_args(), message_id="m1")
        await edge.desk.until(lambda: len(edge.desk.accepted) == 1)


async def test_the_lock_is_exclusive(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        async with peer.connection.channel() as channel:
            with pytest.raises(ChannelLockedResource):
                await channel.declare_queue(edge.names.lock, exclusive=True, auto_delete=True)


class SlowWay(Proxy):
    """A link on which each message to the broker takes its time."""

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while data := await reader.read(65536):
            if way is self.up:
                await asyncio.sleep(0.5)
            writer.write(data)


async def test_declaring_may_take_longer_than_any_one_question(broker: Broker) -> None:
    """A broker that a whole fleet comes back to answers late, but it answers: who gives up adds to its load."""
    async with SlowWay("127.0.0.1", broker.identity.port) as link:
        edge = make_edge(broker.url.replace(str(broker.identity.port), str(link.port)), new_names())
        layout = Layout(edge.names, edge.rpc)
        asked = len(layout.exchanges()) + 2 * len(layout.queues(""))
        assert asked * 0.5 > 7
        async with await connect(edge.amqp, "a test") as connection:
            await Topology(layout, answer_s=7).declare(connection)
            with pytest.raises(TimeoutError):
                await Topology(layout, answer_s=0.2).declare(connection)
