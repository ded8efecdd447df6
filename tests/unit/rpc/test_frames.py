"""Deliveries on a channel that has a taker go to it, whole and in order; the library gets all else, as it came."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from dataclasses import dataclass

import pytest
from aiormq import spec
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from agent.rpc.frames import Delivered, FrameReader

OURS, OTHER = 1, 2
HEARTBEAT = marshal(Heartbeat(), 0)


def delivery(channel: int, tag: int, *pieces: bytes) -> list[bytes]:
    """Its frames."""
    properties = spec.Basic.Properties(message_id=str(tag))
    size = sum(map(len, pieces))
    return [
        marshal(spec.Basic.Deliver(consumer_tag="c", delivery_tag=tag, exchange="e", routing_key="k"), channel),
        marshal(ContentHeader(0, size, properties), channel),
        *(marshal(ContentBody(piece), channel) for piece in pieces),
    ]


@dataclass
class Line:
    """A reader, what its taker was given, and what the library read."""

    stream: asyncio.StreamReader
    reader: FrameReader
    taken: list[Delivered]

    @classmethod
    def with_taker(cls) -> Line:
        stream = asyncio.StreamReader()
        line = cls(stream, FrameReader(stream), [])
        line.reader.take(OURS, line.taken.append)
        return line

    async def frame(self) -> bytes:
        """One frame, read as the library does."""
        kind = await self.reader.readexactly(1)
        rest = await self.reader.readexactly(6)
        (size,) = struct.unpack(">I", rest[2:])
        return kind + rest + await self.reader.readexactly(size + 1)

    async def all(self) -> list[bytes]:
        """All frames, until the end of the stream."""
        frames = []
        with suppress(asyncio.IncompleteReadError):
            while not self.reader.at_eof():
                frames.append(await self.frame())
        return frames

    @property
    def told(self) -> list[tuple[int | None, str | None, bytes]]:
        return [(d.deliver.delivery_tag, d.header.properties.message_id, d.body) for d in self.taken]


BODIES = st.lists(st.binary(max_size=20), max_size=3)
OTHERS = st.one_of(
    st.just(HEARTBEAT),
    st.integers(1, 9).map(lambda tag: marshal(spec.Basic.Ack(delivery_tag=tag), OURS)),
    st.integers(1, 9).map(lambda tag: b"".join(delivery(OTHER, tag, b"theirs"))),
)


@given(st.lists(st.one_of(BODIES, OTHERS), max_size=12), st.integers(1, 40))
async def test_each_delivery_is_taken_and_each_other_frame_passes(
    said: list[list[bytes] | bytes], chunk: int
) -> None:
    line = Line.with_taker()
    told, passed, sent = [], b"", b""
    for tag, what in enumerate(said, start=1):
        if isinstance(what, bytes):
            passed, sent = passed + what, sent + what
        else:
            pieces = [piece for piece in what if piece]
            sent += b"".join(delivery(OURS, tag, *pieces))
            told.append((tag, str(tag), b"".join(pieces)))
    reading = asyncio.create_task(line.all())
    for at in range(0, len(sent), chunk):
        line.stream.feed_data(sent[at : at + chunk])
        await asyncio.sleep(0)
    line.stream.feed_eof()
    assert b"".join(await reading) == passed
    assert line.told == told


async def test_frames_of_two_channels_may_come_by_turns() -> None:
    line = Line.with_taker()
    line.reader.take(OTHER, line.taken.append)
    for ours, theirs in zip(delivery(OURS, 1, b"a", b"b"), delivery(OTHER, 2, b"c", b"d"), strict=True):
        line.stream.feed_data(ours + theirs)
    line.stream.feed_eof()
    assert await line.all() == []
    assert line.told == [(1, "1", b"ab"), (2, "2", b"cd")]


async def test_after_its_taker_has_left_a_channel_is_the_librarys_again() -> None:
    line = Line.with_taker()
    leave = line.reader.take(OTHER, line.taken.append)
    frames = delivery(OTHER, 1, b"a")
    line.stream.feed_data(frames[0])
    reading = asyncio.create_task(line.frame())
    await asyncio.sleep(0)
    leave()
    leave()
    line.stream.feed_data(b"".join(frames[1:]))
    assert await reading == frames[1]
    assert line.taken == []


async def test_who_leaves_late_leaves_the_number_to_its_next_channel() -> None:
    line, first = Line.with_taker(), list[Delivered]()
    leave = line.reader.take(OTHER, first.append)
    cut_off, *_ = delivery(OTHER, 1, b"a")
    line.stream.feed_data(cut_off + HEARTBEAT)
    assert await line.frame() == HEARTBEAT
    line.reader.take(OTHER, line.taken.append)
    leave()
    line.stream.feed_data(b"".join(delivery(OTHER, 2, b"b")))
    line.stream.feed_eof()
    assert await line.all() == []
    assert line.told == [(2, "2", b"b")]
    assert not first


async def test_what_is_said_amid_a_delivery_ends_it() -> None:
    """A content that breaks off is no error in AMQP. That the channel is closed must not be lost in it."""
    line = Line.with_taker()
    closed = marshal(spec.Channel.Close(reply_code=406, reply_text="no", class_id=0, method_id=0), OURS)
    deliver, header, *_ = delivery(OURS, 1, b"abc")
    line.stream.feed_data(deliver + header + closed + deliver + closed + header)
    line.stream.feed_eof()
    assert await line.all() == [closed, closed, header]
    assert line.taken == []


@pytest.mark.parametrize("channel", [OURS, OTHER])
async def test_a_routing_key_that_is_no_text_breaks_no_connection(channel: int) -> None:
    line = Line.with_taker()
    frames = delivery(channel, 1, b"a")
    line.stream.feed_data(frames[0].replace(b"\x01k", b"\x01\xff") + b"".join(frames[1:]))
    line.stream.feed_eof()
    passed = await line.all()
    assert passed == ([] if channel == OURS else [frames[0].replace(b"\x01k", b"\x01?"), *frames[1:]])
    assert line.told == ([(1, "1", b"a")] if channel == OURS else [])


async def test_who_only_takes_hears_signs_of_life_all_the_same() -> None:
    """While it delivers, a broker sends no heartbeats."""
    line = Line.with_taker()
    feeding = asyncio.create_task(deliveries_for_ever(line))
    async with asyncio.timeout(30):
        assert await line.frame() == HEARTBEAT
        assert await line.frame() == HEARTBEAT
    feeding.cancel()
    assert line.taken


async def deliveries_for_ever(line: Line) -> None:
    tag = 0
    while True:
        tag += 1
        line.stream.feed_data(b"".join(delivery(OURS, tag, b"a")))
        await asyncio.sleep(0.01)


async def test_others_have_their_turn_among_many_deliveries() -> None:
    line = Line.with_taker()
    line.stream.feed_data(b"".join(b"".join(delivery(OURS, tag, b"a")) for tag in range(1, 201)))
    reading = asyncio.create_task(line.frame())
    seen = []
    while len(line.taken) < 200:
        await asyncio.sleep(0)
        seen.append(len(line.taken))
    assert len(seen) > 3
    reading.cancel()


async def test_a_broker_of_another_version_is_left_to_the_library() -> None:
    line = Line.with_taker()
    line.stream.feed_data(b"AMQP\x00\x01\x00\x00")
    assert await line.reader.readexactly(1) == b"A"
    assert await line.reader.readexactly(6) == b"MQP\x00\x01\x00"


async def test_a_frame_that_breaks_off_is_told_as_the_end() -> None:
    line = Line.with_taker()
    line.stream.feed_data(b"".join(delivery(OURS, 1, b"abc"))[:-2])
    line.stream.feed_eof()
    with pytest.raises(asyncio.IncompleteReadError):
        await line.frame()
    assert line.taken == []
