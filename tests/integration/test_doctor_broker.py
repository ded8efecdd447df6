"""What the doctor tells of a real broker, well and ill, and that looking changes nothing on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pydantic import SecretStr

from agent.doctor.broker import BACKLOG, check
from agent.doctor.finding import Finding, Verdict
from agent.names import Names
from agent.rpc.inspection import inspect
from agent.rpc.topology import Layout
from agent.settings import Amqp, Notifications, Rpc, Settings
from tests.integration.rpc_ground import SOON, edge_on, eventually, new_names, peer_on, stop_args
from tests.rig.broker import Broker


def settings(url: str, names: Names, notified: Notifications | None = None, **rpc: Any) -> Settings:
    return Settings(
        host=names.host,
        amqp=Amqp(url=SecretStr(url)),
        rpc=Rpc(exchange=names.exchange, topic=names.topic, **rpc),
        notifications=notified or Notifications(),
    )


async def found(url: str, names: Names, notified: Notifications | None = None, **rpc: Any) -> list[Finding]:
    told = await check(settings(url, names, notified, **rpc))
    return [finding for finding in told if finding.verdict is not Verdict.OK]


async def only(url: str, names: Names, notified: Notifications | None = None, **rpc: Any) -> Finding:
    (finding,) = await found(url, names, notified, **rpc)
    assert finding.mend
    return finding


def queues(broker: Broker, names: Names) -> list[str]:
    rows = json.loads(broker.rabbitmqctl("--formatter", "json", "list_queues", "name", "arguments"))
    return sorted(json.dumps(row) for row in rows if row["name"].startswith(names.topic))


@asynccontextmanager
async def channel_on(url: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        yield channel


async def until_unconsumed(url: str, queue: str) -> None:
    """A quorum queue knows a moment after a channel was closed that its consumers are gone."""
    async with asyncio.timeout(SOON), channel_on(url) as channel:
        while (await channel.declare_queue(queue, passive=True)).declaration_result.consumer_count:
            await asyncio.sleep(0.01)


async def test_a_broker_with_its_agent_is_well_and_stays_as_it_is(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        before = queues(broker, edge.names)
        assert await found(broker.url, edge.names) == []
        assert queues(broker, edge.names) == before


async def test_a_broker_that_isnt_there_is_broken() -> None:
    finding = await only("amqp://u:hidden@127.0.0.1:9/", new_names())
    assert finding.verdict is Verdict.BROKEN
    assert "127.0.0.1:9" in finding.says
    assert "hidden" not in str(finding)


async def test_a_broker_that_isnt_in_the_settings_may_be_in_a_credential() -> None:
    names = new_names()
    unset = Settings(host=names.host, rpc=Rpc(exchange=names.exchange, topic=names.topic))
    told = [finding.mend for finding in await check(unset) if finding.verdict is Verdict.BROKEN]
    assert "CREDENTIALS_DIRECTORY" in str(told[0])
    assert "CREDENTIALS_DIRECTORY" not in str((await only("amqp://u:p@127.0.0.1:9/", names)).mend)


async def test_a_wrong_password_is_told_without_it(broker: Broker) -> None:
    url = broker.url.replace(broker.identity.password, "not-the-password")
    finding = await only(url, new_names())
    assert f"refuses user {broker.identity.user!r}" in finding.says
    assert "not-the-password" not in str(finding)


async def test_a_virtual_host_that_isnt_there_is_told(broker: Broker) -> None:
    finding = await only(broker.url + "nowhere", new_names())
    assert "doesn't open the virtual host" in finding.says
    assert "add_vhost" in str(finding.mend)


async def test_what_no_agent_has_declared_yet_is_told_and_not_made(broker: Broker) -> None:
    names = new_names()
    told = [finding.says for finding in await found(broker.url, names)]
    assert f"queue {names.commands} isn't there" in told
    assert f"exchange {names.exchange} isn't there" in told
    assert len(told) == 11
    assert queues(broker, names) == []


async def test_a_queue_that_is_otherwise_than_the_settings_say_is_told(broker: Broker) -> None:
    async with edge_on(broker.url, queue_type="classic") as edge:
        told = await found(broker.url, edge.names, queue_type="quorum")
        assert {edge.names.commands, edge.names.shared} == {finding.says.split()[1] for finding in told}
        assert all(finding.verdict is Verdict.WARNING for finding in told)


async def test_commands_that_nobody_takes_are_told(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        await edge.stop()
        await until_unconsumed(broker.url, edge.names.commands)
        finding = await only(broker.url, edge.names)
    assert finding.says == f"nobody consumes {edge.names.commands}: no agent is connected"
    assert finding.verdict is Verdict.BROKEN


async def test_an_agent_that_has_no_room_is_told_from_one_that_is_away(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, peer_on(broker.url, edge.names) as peer:
        edge.desk.most = 1
        for number in range(2):
            await peer.send(stop_args(), message_id=str(number))
        await eventually(lambda: edge.consumer.health().paused_since is not None)
        await until_unconsumed(broker.url, edge.names.commands)
        assert "an agent is connected and takes no commands" in (await only(broker.url, edge.names)).says


async def _nothing(message: AbstractIncomingMessage) -> None:
    """Takes it, and doesn't acknowledge."""


async def test_a_stranger_who_takes_commands_too_is_told(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, channel_on(broker.url) as channel:
        queue = await channel.get_queue(edge.names.commands)
        await queue.consume(_nothing)
        finding = await only(broker.url, edge.names)
        assert finding.says.startswith(f"2 consumers on {edge.names.commands}")


async def test_commands_that_pile_up_are_told(broker: Broker) -> None:
    names = new_names()
    async with edge_on(broker.url, names) as edge:
        await edge.stop()
        async with channel_on(broker.url) as channel:
            exchange = await channel.get_exchange(names.exchange)
            for _ in range(BACKLOG + 1):
                await exchange.publish(Message(b""), names.commands)
        told = [finding.says for finding in await found(broker.url, names)]
    assert f"{BACKLOG + 1} commands wait in {names.commands}" in told


def notified() -> Notifications:
    return Notifications(enabled=True, topic=f"n{uuid4().hex}")


async def test_notifications_that_no_agent_has_declared_a_queue_for_are_told(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        told = notified()
        says = [finding.says for finding in await found(broker.url, edge.names, told)]
        assert says == [f"queue {told.topic}.{priority} isn't there" for priority in ("info", "error")]


async def test_notifications_that_nobody_listens_to_are_told_for_each_priority(broker: Broker) -> None:
    """A listener whose endpoint has `info` alone leaves the others."""
    told = notified()
    async with edge_on(broker.url, notified=told) as edge, channel_on(broker.url) as channel:
        edge.outbox.add_event("compute.instance.stop.error", uuid4(), generation=1)
        await edge.outbox.emptied()
        await (await channel.get_queue(f"{told.topic}.info")).consume(_nothing)
        finding = await only(broker.url, edge.names, told)
        assert finding.says.startswith(f"nobody listens on {told.topic}.error: 1 notifications wait there")
        assert finding.verdict is Verdict.WARNING
        await (await channel.get_queue(f"{told.topic}.error")).consume(_nothing)
        assert await found(broker.url, edge.names, told) == []


async def test_listeners_that_dont_keep_up_are_told(broker: Broker) -> None:
    told = notified()
    async with edge_on(broker.url, notified=told) as edge, channel_on(broker.url) as channel:
        await channel.set_qos(prefetch_count=1)
        for priority in ("info", "error"):
            await (await channel.get_queue(f"{told.topic}.{priority}")).consume(_nothing)
        exchange = await channel.get_exchange(edge.names.exchange)
        for _ in range(1 + BACKLOG):
            await exchange.publish(Message(b""), f"{told.topic}.info")
        assert await found(broker.url, edge.names, told) == []
        await exchange.publish(Message(b""), f"{told.topic}.info")
        finding = await only(broker.url, edge.names, told)
    assert finding.says == f"{BACKLOG + 1} notifications wait in {told.topic}.info"


async def test_refused_messages_that_wait_are_told(broker: Broker) -> None:
    async with edge_on(broker.url) as edge, channel_on(broker.url) as channel:
        exchange = await channel.get_exchange(edge.names.dead_letters)
        await exchange.publish(Message(b"{}"), "")
        finding = await only(broker.url, edge.names)
        assert (finding.verdict, finding.says.split()[0]) == (Verdict.WARNING, "1")


async def test_a_broker_with_an_alarm_is_told(broker: Broker) -> None:
    async with edge_on(broker.url) as edge:
        await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.00001")
        try:
            seen = await inspect(edge.amqp, Layout(edge.names, edge.rpc))
            told = [finding.says for finding in await found(broker.url, edge.names)]
        finally:
            await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.4")
    assert seen.blocked
    assert "the broker takes no messages: it has an alarm" in told
