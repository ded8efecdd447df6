"""Acknowledgements that aren't on their way yet can be counted."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiormq.abc import AbstractChannel

from agent.rpc.acks import Acks


class Clogged:
    """A channel to a socket that takes nothing until it is `free`."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def basic_ack(self, tag: int, **_: Any) -> None:
        await self.free.wait()


async def test_what_the_socket_does_not_take_is_seen_until_it_does() -> None:
    channel = Clogged()
    acks = Acks(cast(AbstractChannel, channel))
    acks.add(1)
    acks.add(2)
    await asyncio.sleep(0)
    assert len(acks.unwritten) == 2
    channel.free.set()
    await acks.written()
    assert len(acks.unwritten) == 0
    await acks.end()
