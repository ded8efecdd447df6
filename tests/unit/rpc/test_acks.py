"""Acknowledgements are gathered, name what is done and nothing else, and can be counted until they are written."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiormq.abc import AbstractChannel
from hypothesis import given
from hypothesis import strategies as st

from agent.rpc.acks import Acks, Tags


class Channel:
    """One to a socket that takes nothing until it is `free`."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        self.acks: list[tuple[int, bool]] = []

    async def basic_ack(self, tag: int, *, multiple: bool, **_: Any) -> None:
        self.asked.set()
        await self.free.wait()
        for _turn in range(5):  # others have their turn
            await asyncio.sleep(0)
        self.acks.append((tag, multiple))


def on(channel: Channel, many: int = 100) -> Acks:
    return Acks(cast(AbstractChannel, channel), many)


async def test_what_the_socket_does_not_take_is_seen_until_it_does() -> None:
    channel = Channel()
    acks = on(channel)
    acks.add(1)
    acks.add(2)
    await asyncio.sleep(0)
    assert len(acks.unwritten) == 2
    channel.free.set()
    await acks.written()
    assert len(acks.unwritten) == 0
    await acks.end()


async def test_what_is_done_in_one_moment_is_acknowledged_in_one() -> None:
    channel = Channel()
    channel.free.set()
    acks = on(channel)
    for tag in (2, 1, 3, 5):
        acks.add(tag)
    await acks.written()
    assert channel.acks == [(3, True), (5, False)]
    acks.add(4)
    await acks.written()
    assert channel.acks[2:] == [(4, True)]
    await acks.end()


async def test_many_are_not_kept_until_the_moment_is_over() -> None:
    """The broker may have nothing more to give until then."""
    channel = Channel()
    channel.free.set()
    acks = on(channel, many=2)
    for tags in ((1, 2), (3, 4)):
        for tag in tags:
            acks.add(tag)
        for _ in range(30):  # turns of the loop: far less than the moment
            await asyncio.sleep(0)
        assert channel.acks[-1] == (tags[-1], True)
    acks.add(5)
    for _ in range(2):
        await asyncio.sleep(0)
    assert len(acks.unwritten) == 1
    await acks.end()


async def test_what_is_done_while_others_are_written_is_written_too() -> None:
    channel = Channel()
    acks = on(channel)
    acks.add(1)
    await channel.asked.wait()
    acks.add(2)
    channel.free.set()
    await acks.written()
    assert channel.acks == [(1, True), (2, True)]
    await acks.end()


@given(
    st.permutations(range(1, 13)),
    st.lists(st.integers(1, 4), min_size=12, max_size=12),
    st.sets(st.integers(1, 12)),
)
def test_whatever_the_order_each_is_acknowledged_once_it_is_done_and_never_before(
    order: list[int], sizes: list[int], never: set[int]
) -> None:
    """As the broker reads it: one that names a tag that isn't open closes the channel."""
    tags, open_, done = Tags(), set(range(1, 13)), set[int]()
    rest = [tag for tag in order if tag not in never]
    for size in sizes:
        bunch, rest = rest[:size], rest[size:]
        done |= set(bunch)
        for tag, multiple in tags.done(bunch):
            assert tag in open_
            meant = {other for other in open_ if other <= tag} if multiple else {tag}
            assert meant <= done
            open_ -= meant
        assert open_.isdisjoint(done)
    assert open_ == never | set(rest)
