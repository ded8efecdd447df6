"""The link does to connections what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.proxy import Proxy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


@pytest.fixture
async def link() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


async def test_what_is_sent_comes_through(link: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    writer.close()


async def test_a_cut_connection_is_reset_and_the_next_one_is_taken(link: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"one")
    await reader.readexactly(3)
    assert link.cut() == 2
    assert await reader.read() == b""
    writer.close()
    await test_what_is_sent_comes_through(link)


async def test_a_stalled_link_loses_nothing(link: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    link.freeze()
    writer.write(b"one")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(3), 0.1)
    link.mend()
    assert await reader.readexactly(3) == b"one"
    writer.close()


async def test_a_half_open_link_takes_everything_and_brings_nothing_until_it_is_mended(link: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    link.drop([link.down])
    writer.write(b"two")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(3), 0.1)
    link.mend()
    assert await reader.read() == b""
    writer.close()
