"""A TCP link that can be broken: cut, frozen, or open on one side only. Stands between agent and broker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Self

CHUNK = 65536


class Way:
    """One direction. Shut, it holds back what comes; deaf, it takes it and drops it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.deaf = False


class Proxy:
    """`async with Proxy(host, port) as link`: connect to `link.port` instead."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.up, self.down = Way(), Way()
        """To the target, and back."""

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> int:
        """Reset every connection; how many there were. New ones are taken."""
        writers = tuple(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers)

    def freeze(self) -> None:
        """Nothing passes and nothing is lost: a stall."""
        for way in (self.up, self.down):
            way.open.clear()

    def drop(self, ways: Iterable[Way]) -> None:
        """What is sent that way is gone, and the connection looks alive: half open. End it with `mend`."""
        for way in ways:
            way.deaf = True

    def mend(self) -> None:
        """As before. A connection that has lost bytes can't go on: it is cut."""
        if self.up.deaf or self.down.deaf:
            self.cut()
        for way in (self.up, self.down):
            way.deaf = False
            way.open.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.mend()
        self.cut()
        for pump in tuple(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        both = (self._pump(reader, there[1], self.up), self._pump(there[0], writer, self.down))
        tasks = [asyncio.create_task(pump) for pump in both]
        self._writers |= {writer, there[1]}
        self._pumps |= set(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._pumps -= set(tasks)
            self._writers -= {writer, there[1]}
            writer.transport.abort()
            there[1].transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await way.open.wait()
                if not way.deaf:
                    writer.write(data)
                    await writer.drain()
