"""Reads frames for the AMQP library, and takes deliveries past it.

    socket --> frame --part of a delivery on a channel that has a taker--> gathered --whole--> taker
                 `----all else--> the library

The library carries a delivery through two queues and a task until its callback has it: that is as much work as to
understand the request and to answer it. A consumer to whom this matters takes its channel's deliveries here. All
else that is said on the channel stays the library's, and it never misses what it didn't see.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from aiormq import spec
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from agent.rpc.tolerant import with_readable_names, without_properties

_HEAD = struct.Struct(">BHI")
"""Type, channel, bytes of the payload; after that an end byte."""

_METHOD, _HEADER = 1, 2
_DELIVER = struct.pack(">HH", 60, 60)
"""How the payload of basic.deliver begins: its class and method."""

_PROTOCOL = b"AMQP"
"""How a broker of another version begins. That isn't a frame."""

_HEARTBEAT = _HEAD.pack(8, 0, 0) + b"\xce"
_SIGN_OF_LIFE_S = 1.0
_AT_ONCE = 32
"""Deliveries, until others have their turn."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery as it came. `deliver` has its tag, and that of its consumer."""

    deliver: spec.Basic.Deliver
    header: ContentHeader
    body: bytes


Taker = Callable[[Delivered], None]
"""Never waits, never raises."""


@dataclass(slots=True)
class _Part:
    """As much of a delivery as has come. `missing`: bytes of the body, once its header is there."""

    deliver: spec.Basic.Deliver
    header: ContentHeader = field(default_factory=ContentHeader)
    body: list[bytes] = field(default_factory=list)
    missing: int = 0

    def add(self, kind: int, frame: bytes) -> bool:
        """Whether it is whole."""
        if kind == _HEADER:
            self.header = cast(ContentHeader, unmarshal(frame)[2])
            self.missing = self.header.body_size
        else:
            self.body.append(frame[_HEAD.size : -1])
            self.missing -= len(self.body[-1])
        return self.missing <= 0


class FrameReader:
    """As much of a stream reader as frames are read with."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._frame = b""
        self._passed = time.monotonic()
        self._takers: dict[int, Taker] = {}
        self._parts: dict[int, _Part] = {}
        self._taken = 0

    def take(self, channel: int, taker: Taker) -> Callable[[], None]:
        """From now on `taker` has the deliveries of this channel, until what is returned is called."""
        self._takers[channel] = taker

        def leave() -> None:
            # The channel may be gone, and its number another's.
            if self._takers.get(channel) is taker:
                del self._takers[channel]

        return leave

    def at_eof(self) -> bool:
        """Asked between two frames."""
        return self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        """A part of a frame: of each its type, the rest of its head, and its payload, one after another."""
        if not self._frame:
            self._frame = await self._next()
            self._passed = time.monotonic()
        part, self._frame = self._frame[:n], self._frame[n:]
        return part

    async def _next(self) -> bytes:
        """A frame for the library."""
        while True:
            head = await self._reader.readexactly(_HEAD.size)
            if head.startswith(_PROTOCOL):
                return head
            kind, channel, size = _HEAD.unpack(head)
            payload = await self._reader.readexactly(size + 1)
            if kind == _HEADER:
                payload = without_properties(payload)
            elif kind == _METHOD and payload.startswith(_DELIVER):
                payload = with_readable_names(payload)
            frame = head + payload
            if channel not in self._takers or not self._is_taken(kind, channel, frame):
                return frame
            if time.monotonic() - self._passed > _SIGN_OF_LIFE_S:
                # A broker that delivers sends no heartbeats, and the library would take the connection for dead.
                return _HEARTBEAT
            if self._taken >= _AT_ONCE:
                self._taken = 0
                await asyncio.sleep(0)

    def _is_taken(self, kind: int, channel: int, frame: bytes) -> bool:
        if kind == _METHOD:
            # Whatever it says, it ends a delivery that isn't whole.
            self._parts.pop(channel, None)
            if not frame.startswith(_DELIVER, _HEAD.size):
                return False
            self._parts[channel] = _Part(cast(spec.Basic.Deliver, unmarshal(frame)[2]))
            return True
        part = self._parts.get(channel)
        if part is None:
            return False
        if part.add(kind, frame):
            del self._parts[channel]
            self._taken += 1
            self._takers[channel](Delivered(part.deliver, part.header, b"".join(part.body)))
        return True
