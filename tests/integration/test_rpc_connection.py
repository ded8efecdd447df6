"""A connection is put away within seconds, whatever the broker does, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.channel import Channel
from pydantic import SecretStr

from agent.rpc.connection import Link, connect, wire
from agent.rpc.tasks import end
from agent.settings import Amqp
from tests.integration.rpc_ground import eventually, soon
from tests.rig.broker import Broker

MEGABYTE = bytes(1024 * 1024)


def amqp(broker: Broker) -> Amqp:
    return Amqp(url=SecretStr(broker.url))


@contextmanager
def frozen(broker: Broker) -> Iterator[None]:
    broker.freeze()
    try:
        yield
    finally:
        broker.thaw()


def sockets() -> set[str]:
    """This process's."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that is read here
            found.add(os.readlink(descriptor))
    return {name for name in found if name.startswith("socket:")}


async def pour(channel: AbstractChannel) -> None:
    """More than the kernel takes for somebody who doesn't read."""
    below = cast("Channel", await channel.get_underlay_channel())
    while True:
        await below.basic_publish(MEGABYTE, routing_key="nobody", wait=False)


async def test_a_link_that_is_ended_while_the_broker_hangs_leaves_no_task(broker: Broker) -> None:
    before = asyncio.all_tasks()
    link = Link(amqp(broker), "a link")

    async def session(_: AbstractConnection) -> None:
        link.up()
        await asyncio.Event().wait()

    running = asyncio.create_task(link.run(session))
    await eventually(lambda: link.state.up)
    with frozen(broker):
        await soon(end(running))
        assert asyncio.all_tasks() == before


async def test_a_link_that_is_cancelled_twice_has_closed_its_connection(broker: Broker) -> None:
    link, held, cancelled = Link(amqp(broker), "a link"), list[AbstractConnection](), asyncio.Event()

    async def session(connection: AbstractConnection) -> None:
        held.append(connection)
        link.up()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        cancelled.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(link.run(session))
    await eventually(lambda: link.state.up)
    running.cancel()
    await soon(cancelled.wait())
    running.cancel()
    await soon(asyncio.wait({running}))
    assert running.cancelled()
    assert held[0].is_closed


async def test_what_the_broker_does_not_read_keeps_no_connection_open(broker: Broker) -> None:
    before, open_before = asyncio.all_tasks(), sockets()
    connection = await connect(amqp(broker), "a test")
    channel, below = await connection.channel(publisher_confirms=False), wire(connection)
    await channel.get_underlay_channel()
    with frozen(broker):
        pouring = asyncio.create_task(pour(channel))
        await eventually(below.write_queue.full)
        await soon(connection.close())
        await soon(end(pouring))
        assert below.is_closed
        assert asyncio.all_tasks() == before
        assert sockets() == open_before


async def test_a_close_that_is_cancelled_leaves_no_task(broker: Broker) -> None:
    before = asyncio.all_tasks()
    connection = await connect(amqp(broker), "a test")
    below = wire(connection)
    with frozen(broker):
        closing = asyncio.create_task(connection.close())
        await eventually(lambda: connection.transport is None)
        closing.cancel()
        await soon(asyncio.wait({closing}))
        assert closing.cancelled()
        assert below.is_closed
        assert asyncio.all_tasks() == before
