"""The bytes under an AMQP connection: what comes can break nothing, what goes is sent in gathered pieces.

aiormq writes each frame by itself, and each of these writes is a call to the kernel, which carries the bytes as
far as the broker's socket before it comes back. A bunch of acknowledgements, or of messages whose confirms are
awaited later, is many frames at one moment: they leave together, once what is ready now has run.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

from agent.rpc.frames import FrameReader


class Transport(TransportFactory):
    """TCP or TLS, by the URL. For one connection: `frames` is what reads its frames, `writer` what writes them,
    once there is one."""

    frames: FrameReader
    writer: GatheringWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, writer = await factory.create(url, **kwargs)
        self.frames, self.writer = FrameReader(reader), GatheringWriter(writer)
        return cast("asyncio.StreamReader", self.frames), cast("asyncio.StreamWriter", self.writer)

    def cut(self) -> None:
        """With all that isn't sent yet: otherwise it is open for as long as the other end doesn't read that."""
        if self.writer is not None:
            self.writer.transport.abort()


class GatheringWriter:
    """As much of a stream writer as frames are written with."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._gathered: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    @property
    def transport(self) -> asyncio.WriteTransport:
        return self._writer.transport

    def write(self, data: bytes) -> None:
        if not self._gathered:
            self._loop.call_soon(self._send)
        self._gathered.append(data)

    async def drain(self) -> None:
        self._send()
        await self._writer.drain()

    def is_closing(self) -> bool:
        return self._writer.is_closing()

    def can_write_eof(self) -> bool:
        return self._writer.can_write_eof()

    def write_eof(self) -> None:
        self._send()
        self._writer.write_eof()

    def close(self) -> None:
        self._send()
        self._writer.close()

    async def wait_closed(self) -> None:
        await self._writer.wait_closed()

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered and not self._writer.is_closing():
            self._writer.write(b"".join(gathered))
