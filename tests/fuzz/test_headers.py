"""Any AMQP properties of a message: readable or none, and never the end of the connection or of the reader."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from agent.rpc.desk import Source
from agent.rpc.feed import Incoming, Queue
from agent.rpc.frames import Delivered
from agent.rpc.reception import Gate
from agent.rpc.tolerant import without_properties
from tests.fuzz.mutations import corpus, spoiled
from tests.fuzz.way_in import outcome

HEADERS = corpus("headers")
FIXED = 12  # bytes before the flags: class, weight, size of the body
END = b"\xce"


def arrived(payload: bytes) -> ContentHeader:
    head = struct.pack(">BHI", 2, 1, len(payload))
    _, _, frame = unmarshal(head + without_properties(payload + END))
    assert isinstance(frame, ContentHeader)
    return frame


def delivered(header: ContentHeader) -> Incoming:
    message = Delivered(Basic.Deliver(), header, b"{}")
    return Incoming(message, Queue("q", Source.COMMANDS), Gate(), object())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", HEADERS)
def test_a_message_of_the_corpus_is_taken_or_refused(name: str) -> None:
    outcome(delivered(arrived(HEADERS[name])).properties, b'{"method": "ping"}')


@given(spoiled(list(HEADERS.values())), st.binary(max_size=4))
def test_any_properties_are_taken_or_refused(header: bytes, flags: bytes) -> None:
    payload = header[:FIXED].ljust(FIXED, b"\0") + flags + header[FIXED + len(flags) :]
    payload = struct.pack(">HH", 60, 0) + payload[4:].ljust(10, b"\0")
    outcome(delivered(arrived(payload)).properties, b'{"method": "ping"}')
