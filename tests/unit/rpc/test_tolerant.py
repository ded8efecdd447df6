"""Content headers that can't be decoded lose their properties, names that aren't text what isn't; all others pass
as they are."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.frame import marshal, unmarshal
from pamqp.header import ContentHeader

from agent.rpc.tolerant import with_readable_names, without_properties

HEAD = 7


def split(frame: bytes) -> tuple[bytes, bytes]:
    return frame[:HEAD], frame[HEAD:]


def header(properties: bytes) -> tuple[bytes, bytes]:
    payload = struct.pack(">HHQ", 60, 0, 5) + properties
    return struct.pack(">BHI", 2, 1, len(payload)), payload + b"\xce"


def test_a_good_header_passes_as_it_is() -> None:
    frame = marshal(ContentHeader(0, 5, Basic.Properties(message_id="m1", headers={"a": 1})), 1)
    _, payload = split(frame)
    assert without_properties(payload) == payload


@pytest.mark.parametrize(
    "properties",
    [
        struct.pack(">HQ", 1 << 6, 2**64 - 1),
        struct.pack(">HQ", 1 << 6, 1_700_000_000_000_000_000),
        struct.pack(">H", 1 << 7) + b"\x02\xff\xff",
        struct.pack(">H", 0xFFFE),
    ],
)
def test_a_bad_one_arrives_without_properties(properties: bytes) -> None:
    head, payload = header(properties)
    mended = without_properties(payload)
    assert len(mended) == len(payload)
    _, _, frame = unmarshal(head + mended)
    assert isinstance(frame, ContentHeader)
    assert frame.body_size == 5
    assert frame.properties.message_id is None
    assert frame.properties.timestamp is None


@given(st.binary(min_size=2, max_size=60))
def test_no_properties_at_all_break_a_connection(properties: bytes) -> None:
    head, payload = header(properties)
    _, _, frame = unmarshal(head + without_properties(payload))
    assert isinstance(frame, ContentHeader)


NAMES = st.binary(max_size=20) | st.text(max_size=60).map(lambda text: text.encode()[:255])


@given(st.text("abc", max_size=40), NAMES, NAMES, st.integers(0, 2**63 - 1), st.booleans())
def test_no_names_break_a_connection_nor_shift_what_is_beside_them(
    consumer: str, exchange: bytes, key: bytes, tag: int, again: bool
) -> None:
    def named(*names: bytes) -> bytes:
        mine = bytes([len(consumer)]) + consumer.encode() + struct.pack(">Q?", tag, again)
        return struct.pack(">HH", 60, 60) + mine + b"".join(bytes([len(name)]) + name for name in names) + b"\xce"

    mended = with_readable_names(named(exchange, key))
    _, _, frame = unmarshal(struct.pack(">BHI", 1, 1, len(mended) - 1) + mended)
    assert isinstance(frame, Basic.Deliver)
    assert (frame.consumer_tag, frame.delivery_tag, frame.redelivered) == (consumer, tag, again)
    assert mended == named((frame.exchange or "").encode(), (frame.routing_key or "").encode())
    for written, read in ((exchange, frame.exchange), (key, frame.routing_key)):
        assert read in (written.decode(errors="ignore"), written.decode("ascii", "replace").replace("\ufffd", "?"))
