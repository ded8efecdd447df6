"""A test client's own connection to the broker, kept up through everything that is done to the broker.

Written apart from the agent's: what is tested must not be what looks on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.connection import make_url

PATIENCE_S = 5.0


class Line:
    """`setup` is run on each new channel: it declares and consumes."""

    def __init__(self, url: str, setup: Callable[[AbstractChannel], Awaitable[None]]) -> None:
        self._url = url
        self._setup = setup
        self._up = asyncio.Event()
        self._channel: AbstractChannel | None = None

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            session = asyncio.ensure_future(self._session())
            try:
                await asyncio.wait({session})
            finally:
                self._up.clear()
                await _end(session)
            await asyncio.sleep(0.1)

    async def ready(self) -> None:
        await self._up.wait()

    async def publish(self, exchange: str, routing_key: str, message: aio_pika.Message) -> bool:
        """Whether the broker has confirmed it within some seconds; False tells nothing."""
        await self._up.wait()
        assert self._channel is not None
        sending = asyncio.ensure_future(self._send(self._channel, exchange, routing_key, message))
        return await _done(sending)

    async def delete_queue(self, name: str) -> bool:
        await self._up.wait()
        assert self._channel is not None
        return await _done(asyncio.ensure_future(self._channel.queue_delete(name)))

    async def _send(self, channel: AbstractChannel, exchange: str, key: str, message: aio_pika.Message) -> None:
        target = await channel.get_exchange(exchange, ensure=False)
        await target.publish(message, key)

    async def _session(self) -> None:
        # Not `aio_pika.connect`: what fails there is never closed, and complains when it is thrown away.
        connection = aio_pika.Connection(make_url(self._url))
        try:
            await connection.connect(timeout=PATIENCE_S)
            channel = await connection.channel(on_return_raises=True)
            await asyncio.wait_for(self._setup(channel), PATIENCE_S)
            self._channel = channel
            self._up.set()
            below = await channel.get_underlay_channel()
            await asyncio.wait({below.closing})
        finally:
            self._up.clear()
            await _close(connection)


async def _close(connection: AbstractConnection) -> None:
    closing = asyncio.ensure_future(connection.close())
    await asyncio.wait({closing}, timeout=1)
    await _end(closing)


async def _done(task: asyncio.Future[Any]) -> bool:
    # In a task of its own: a connection that dies cancels whoever waits on it.
    try:
        await asyncio.wait({task}, timeout=PATIENCE_S)
        return task.done() and not task.cancelled() and task.exception() is None
    finally:
        await _end(task)


async def _end(task: asyncio.Future[Any]) -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.5)
    with contextlib.suppress(asyncio.CancelledError, Exception):
        task.result()
