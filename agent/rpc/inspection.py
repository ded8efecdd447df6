"""What an agent's exchanges and queues are like on the broker, looked at without changing anything.

What is there is declared once more as the agent would: the broker compares, and refuses what differs. What isn't
there is left so. Two messages that no queue wants are published, because a broker that is short of memory or disk
tells that to publishers alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from aio_pika import Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aio_pika.exceptions import AuthenticationError, ProbableAuthenticationError

from agent.rpc.connection import ABSENT, BROKEN, LOCKED, REFUSALS, blocked, connect, describe
from agent.rpc.topology import ExchangeSpec, Layout, QueueSpec, server_version
from agent.settings import Amqp

PUBLISH_S = 5.0

Trouble = BROKEN
"""What `inspect` raises when the broker can't be used; of these `LoginRefused` when it knows no such user."""
LoginRefused = (AuthenticationError, ProbableAuthenticationError)


@dataclass(frozen=True, slots=True)
class Seen:
    """One exchange or queue. `differs` is the broker's word on what is otherwise, or that it can't be asked.
    `messages` are those that are ready; `consumers` and they are of queues that are there."""

    name: str
    there: bool
    differs: str | None = None
    messages: int = 0
    consumers: int = 0


@dataclass(frozen=True, slots=True)
class Inspection:
    """`taken`: an agent of this host's name is connected. `blocked`: the broker takes no messages now."""

    version: str
    exchanges: tuple[Seen, ...]
    queues: tuple[Seen, ...]
    taken: bool
    blocked: bool

    def queue(self, name: str) -> Seen:
        return next(seen for seen in self.queues if seen.name == name)


async def inspect(amqp: Amqp, layout: Layout) -> Inspection:
    """Raises one of `Trouble`."""
    names = layout.names
    async with await connect(amqp, f"agent-cli doctor {names.host}") as connection:
        version = server_version(connection)
        exchanges = [await _exchange(connection, spec) for spec in layout.exchanges()]
        queues = [await _queue(connection, spec) for spec in layout.queues(version)]
        taken = await _taken(connection, names.lock)
        there = {seen.name for seen in exchanges if seen.there}
        stuck = names.replies in there and await _publishing_hangs(connection, names.replies)
    return Inspection(version, tuple(exchanges), tuple(queues), taken, stuck)


async def _exchange(connection: AbstractConnection, spec: ExchangeSpec) -> Seen:
    async def declare(channel: AbstractChannel, passive: bool) -> AbstractExchange:
        return await channel.declare_exchange(
            spec.name, spec.type, durable=spec.durable, auto_delete=spec.auto_delete, passive=passive
        )

    return await _look(connection, spec.name, declare)


async def _queue(connection: AbstractConnection, spec: QueueSpec) -> Seen:
    async def declare(channel: AbstractChannel, passive: bool) -> AbstractQueue:
        return await channel.declare_queue(
            spec.name, durable=spec.durable, arguments=spec.arguments, passive=passive
        )

    return await _look(connection, spec.name, declare)


async def _look(
    connection: AbstractConnection,
    name: str,
    declare: Callable[[AbstractChannel, bool], Awaitable[AbstractExchange | AbstractQueue]],
) -> Seen:
    """A refusal closes its channel, so each question has one of its own."""
    try:
        async with connection.channel() as channel:
            found = await declare(channel, True)
    except REFUSALS as error:
        return Seen(name, there=False, differs=None if isinstance(error, ABSENT) else describe(error))
    messages, consumers = _counts(found)
    try:
        async with connection.channel() as channel:
            await declare(channel, False)
    except REFUSALS as error:
        return Seen(name, there=True, differs=describe(error), messages=messages, consumers=consumers)
    return Seen(name, there=True, messages=messages, consumers=consumers)


def _counts(found: AbstractExchange | AbstractQueue) -> tuple[int, int]:
    if not isinstance(found, AbstractQueue):
        return 0, 0
    result = found.declaration_result
    return result.message_count or 0, result.consumer_count or 0


async def _taken(connection: AbstractConnection, lock: str) -> bool:
    try:
        async with connection.channel() as channel:
            await channel.declare_queue(lock, passive=True)
    except LOCKED:
        return True
    except REFUSALS:
        return False
    return True


async def _publishing_hangs(connection: AbstractConnection, exchange: str) -> bool:
    """Whether messages aren't confirmed because the broker has stopped reading. It takes the first one, and stops
    then. The channel isn't closed: that would have to wait as well."""
    channel = await connection.channel()
    target = await channel.get_exchange(exchange, ensure=False)
    try:
        async with asyncio.timeout(PUBLISH_S):
            for _ in range(2):
                await target.publish(Message(b""), uuid4().hex, mandatory=False)
    except TimeoutError:
        return blocked(connection)
    except REFUSALS:  # no right to publish there: what can't be asked isn't told
        return False
    return False
