"""Where the answers to a client's calls arrive: a queue of its own, over as many connections as it takes.

    expect -> (request is sent) -> answer: the one that waits for its correlation_id has it

The queue is durable and outlives a lost connection, so an answer given meanwhile is still in it. A request may
be lost with the broker all the same: whoever waits knows by the end of a `session` that it is time to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from aio_pika.abc import AbstractConnection, AbstractIncomingMessage, AbstractQueue
from pydantic import ValidationError

from agent.names import SharedNames
from agent.rpc.connection import BROKEN, REFUSALS, Link, leave
from agent.rpc.ears import Ears
from agent.rpc.schema.envelope import Reply
from agent.rpc.schema.results import Error
from agent.settings_broker import Amqp

EXPIRE_MS = 30 * 60 * 1000
UNREADABLE = Error(code="internal", message="the answer isn't one of the contract", retryable=False)


@dataclass(frozen=True, slots=True)
class Expected:
    """An answer to come, and where it is to go."""

    reply_to: str
    correlation_id: str
    exchange: str
    answered: asyncio.Future[Reply]


Read = Callable[[bytes, str | None], tuple[str | None, Reply | None]]
"""An answer's body and correlation_id -> which call it is to, and what it says, if it says anything."""


class Replies:
    """One for a client; `run` it. `by_exchange`: have answers published to the exchange for them."""

    def __init__(self, amqp: Amqp, names: SharedNames, *, by_exchange: bool, read: Read) -> None:
        self._read = read
        self._exchange = names.replies if by_exchange else ""
        self._name = f"reply_{uuid4().hex}"
        self._link = Link(amqp, "compute-client replies")
        self._pending: dict[str, asyncio.Future[Reply]] = {}
        self._session: asyncio.Future[None] | None = None
        self._listening = asyncio.Event()
        self._consuming: tuple[AbstractQueue, str] | None = None

    async def run(self) -> None:
        """Until cancelled. Raises what the first attempt to connect raises."""
        await self._link.run(self._listen, fail_fast=True)

    async def leave(self) -> None:
        """Take no more answers."""
        if self._consuming is not None:
            await leave(*self._consuming)

    @property
    def connection(self) -> AbstractConnection | None:
        """None while it is lost."""
        return self._link.connection

    async def listening(self) -> asyncio.Future[None] | None:
        """Wait until answers can arrive; returns what is done when they no longer can."""
        await self._listening.wait()
        return self._session

    @contextmanager
    def expect(self) -> Iterator[Expected]:
        """An answer that is waited for inside; one that comes later is dropped."""
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        expected = Expected(self._name, uuid4().hex, self._exchange, answered)
        self._pending[expected.correlation_id] = answered
        try:
            yield expected
        finally:
            del self._pending[expected.correlation_id]

    async def _listen(self, connection: AbstractConnection) -> None:
        if self._exchange:
            # Where it is there otherwise, or isn't ours to declare, the binding will tell.
            with suppress(*REFUSALS):
                async with connection.channel() as channel:
                    await channel.declare_exchange(self._exchange, "direct", durable=True)
        channel = await connection.channel()
        ears = await Ears.on(channel, [self._name])
        queue = await channel.declare_queue(self._name, durable=True, arguments={"x-expires": EXPIRE_MS})
        if self._exchange:
            await queue.bind(self._exchange, routing_key=self._name)
        self._consuming = (queue, await queue.consume(self._on_reply))
        self._session = asyncio.get_running_loop().create_future()
        self._listening.set()
        self._link.up()
        try:
            await ears.deaf()
        finally:
            self._listening.clear()
            self._session.set_result(None)

    async def _on_reply(self, message: AbstractIncomingMessage) -> None:
        call, reply = self._read(message.body, message.correlation_id)
        answered = self._pending.get(call or "")
        if answered is not None and reply is not None and not answered.done():
            answered.set_result(reply)
        with suppress(*BROKEN):
            await message.ack()


def in_plain(body: bytes, correlation_id: str | None) -> tuple[str | None, Reply]:
    """One that can't be read is an `internal` error. Pure."""
    try:
        return correlation_id, Reply.model_validate_json(body)
    except ValidationError:
        return correlation_id, Reply(error=UNREADABLE)
