"""Lets messages through whose AMQP properties can't be decoded: they arrive with none.

A sender may write anything into a timestamp or a text; the broker passes it on, and the AMQP library under
us takes it for a broken connection. The message would come again on the next one, for ever. Without its
properties it is an ordinary bad request: refused and parked.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from pamqp.exceptions import PAMQPException
from pamqp.frame import unmarshal

_CONTENT_HEADER = 2
_END = b"\xce"
_FLAGS = slice(12, 14)  # of the payload: which properties follow

# A timestamp may be beyond what a clock can hold, tables and lists nested beyond what can be followed.
_UNREADABLE = (PAMQPException, ArithmeticError, OSError, RecursionError)


def without_properties(payload: bytes) -> bytes:
    """The payload of a content header; if it can't be decoded, one of the same length that says that no
    properties follow. Pure."""
    if _is_readable(payload[_FLAGS.start :]):
        return payload
    return payload[: _FLAGS.start] + b"\0\0" + payload[_FLAGS.stop :]


@lru_cache(maxsize=64)
def _is_readable(properties: bytes) -> bool:
    """Many senders give all their messages the same ones."""
    payload = bytes(_FLAGS.start) + properties
    try:
        unmarshal(struct.pack(">BHI", _CONTENT_HEADER, 1, len(payload) - len(_END)) + payload)
    except _UNREADABLE:
        return False
    return True
