"""Lets messages through whose AMQP properties or routing key can't be decoded: they arrive with none, or with
question marks in it.

A sender may write anything into a timestamp or a text; the broker passes it on, and the AMQP library under
us takes it for a broken connection. The message would come again on the next one, for ever. Without its
properties it is an ordinary bad request: refused and parked. Its routing key tells us nothing: it has arrived.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from pamqp.exceptions import PAMQPException
from pamqp.frame import unmarshal

_CONTENT_HEADER = 2
_END = b"\xce"
_FLAGS = slice(12, 14)  # of the payload: which properties follow
_CONSUMER = 4  # in the payload of basic.deliver: where the consumer's tag begins, a length before it
_FIXED = 9  # what follows it: the delivery's tag, and whether it comes again

# A timestamp may be beyond what a clock can hold, tables and lists nested beyond what can be followed.
_UNREADABLE = (PAMQPException, ArithmeticError, OSError, RecursionError)


def without_properties(payload: bytes) -> bytes:
    """The payload of a content header; if it can't be decoded, one of the same length that says that no
    properties follow. Pure."""
    if _is_readable(payload[_FLAGS.start :]):
        return payload
    return payload[: _FLAGS.start] + b"\0\0" + payload[_FLAGS.stop :]


def with_readable_names(payload: bytes) -> bytes:
    """The payload of a basic.deliver; one of the same length if its exchange or routing key isn't text. Pure."""
    at = _CONSUMER + 1 + payload[_CONSUMER] + _FIXED
    return payload[:at] + _readable(payload[at:])


@lru_cache(maxsize=64)
def _readable(names: bytes) -> bytes:
    """The exchange and the routing key, each with its length, and what follows."""
    exchange = 1 + names[0]
    key = exchange + 1 + names[exchange]
    return (
        b"".join(names[at : at + 1] + _text(names[at + 1 : end]) for at, end in ((0, exchange), (exchange, key)))
        + names[key:]
    )


def _text(raw: bytes) -> bytes:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode("ascii", "replace")
    return raw


@lru_cache(maxsize=64)
def _is_readable(properties: bytes) -> bool:
    """Many senders give all their messages the same ones."""
    payload = bytes(_FLAGS.start) + properties
    try:
        unmarshal(struct.pack(">BHI", _CONTENT_HEADER, 1, len(payload) - len(_END)) + payload)
    except _UNREADABLE:
        return False
    return True
