"""What is written at one moment leaves as one piece, in order, and nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from agent.rpc.transport import GatheringWriter


@dataclass
class Wire:
    """The stream below: keeps each piece that is handed to it."""

    sent: list[bytes] = field(default_factory=list)
    closed: bool = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    async def drain(self) -> None:
        self.sent.append(b"drained")

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def write_eof(self) -> None:
        self.sent.append(b"EOF")


def over(wire: Wire) -> GatheringWriter:
    return GatheringWriter(cast("asyncio.StreamWriter", wire))


async def one_turn() -> None:
    """What was ready has run."""
    turned = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turned.set_result, None)
    await turned


async def test_what_is_written_at_one_moment_leaves_as_one_piece_in_order() -> None:
    wire = Wire()
    writer = over(wire)
    for piece in (b"a", b"b", b"c"):
        writer.write(piece)
    assert wire.sent == []
    await one_turn()
    assert wire.sent == [b"abc"]


async def test_what_is_written_later_leaves_by_itself() -> None:
    wire = Wire()
    writer = over(wire)
    writer.write(b"a")
    await one_turn()
    writer.write(b"b")
    await one_turn()
    await one_turn()
    assert wire.sent == [b"a", b"b"]


async def test_drained_means_handed_over() -> None:
    wire = Wire()
    writer = over(wire)
    writer.write(b"a")
    await writer.drain()
    assert wire.sent == [b"a", b"drained"]


async def test_what_was_written_before_the_end_leaves_before_it() -> None:
    wire = Wire()
    writer = over(wire)
    writer.write(b"a")
    writer.write_eof()
    writer.write(b"b")
    writer.close()
    assert (wire.sent, writer.is_closing()) == ([b"a", b"EOF", b"b"], True)


async def test_what_is_written_after_the_end_is_dropped() -> None:
    wire = Wire()
    writer = over(wire)
    writer.write(b"a")
    wire.close()
    await one_turn()
    assert wire.sent == []


@asynccontextmanager
async def listener(path: Path) -> AsyncIterator[asyncio.Queue[bytes]]:
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.put_nowait(await reader.read())
        writer.close()

    async with await asyncio.start_unix_server(take, path):
        yield came


async def test_over_a_real_socket_all_of_it_arrives(tmp_path: Path) -> None:
    pieces = [bytes([n % 256]) * n for n in range(2000)]
    async with listener(tmp_path / "s") as came:
        _, below = await asyncio.open_unix_connection(tmp_path / "s")
        writer = GatheringWriter(below)
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await came.get() == b"".join(pieces)
