"""Lets messages through whose AMQP properties can't be decoded: they arrive with none.

A sender may write anything into a timestamp or a text; the broker passes it on, and the AMQP library under
us takes it for a broken connection. The message would come again on the next one, for ever. Without its
properties it is an ordinary bad request: refused and parked.

aiormq reads a frame in three parts: its type, the rest of its head, its payload with an end byte.
"""

from __future__ import annotations

import asyncio

from pamqp.exceptions import PAMQPException
from pamqp.frame import unmarshal

_CONTENT_HEADER = 2
_HEAD = 7  # bytes
_FLAGS = slice(12, 14)  # of the payload: which properties follow

# A timestamp may be beyond what a clock can hold, tables and lists nested beyond what can be followed.
_UNREADABLE = (PAMQPException, ArithmeticError, OSError, RecursionError)


class TolerantReader:
    """As much of a stream reader as frames are read with."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._head = b""

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        part = await self._reader.readexactly(n)
        if len(self._head) < _HEAD:
            self._head += part
            return part
        head, self._head = self._head, b""
        return without_properties(head, part) if head[0] == _CONTENT_HEADER else part


def without_properties(head: bytes, payload: bytes) -> bytes:
    """The payload of a content header; if it can't be decoded, one of the same length that says that no
    properties follow. Pure."""
    try:
        unmarshal(head + payload)
    except _UNREADABLE:
        return payload[: _FLAGS.start] + b"\0\0" + payload[_FLAGS.stop :]
    return payload
