"""Bytes <-> Request and Answer, pure: one file for each format, told apart per message.

A format is a module with `NAME`, `address`, `decode` and `encode`, as `plain` has them. The address is
made first and apart: a call whose body can't be read still gets its error.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from agent.journal.records import Address, Answer
from agent.rpc import dead_letters
from agent.rpc.desk import Request
from agent.rpc.message import Outgoing, Properties
from agent.rpc.wire import document, plain


class _Encode(Protocol):
    def __call__(self, address: Address, answer: Answer, message_id: str, *, persistent: bool) -> Outgoing: ...


_ENCODERS: dict[str, _Encode] = {plain.NAME: plain.encode, dead_letters.NAME: dead_letters.encode}


def address_of(properties: Properties, replies: str) -> Address | None:
    """Where the answer to a delivery goes, None for a cast. Raises InvalidRequest."""
    return plain.address(properties, replies)


def decode(
    properties: Properties, body: bytes, address: Address | None, *, now: datetime, max_bytes: int
) -> Request:
    """Raises InvalidRequest naming what is wrong and how to mend it."""
    parsed = document.parse(properties, body, max_bytes=max_bytes)
    return plain.decode(properties, parsed, address, now)


def encode(address: Address, answer: Answer, message_id: str, *, persistent: bool = True) -> Outgoing:
    """The answer in the format that the request came in. A format that a later version of the agent wrote
    into the journal is answered in plain: its caller is told something, and nothing is kept for ever."""
    encoder = _ENCODERS.get(address.format, plain.encode)
    return encoder(address, answer, message_id, persistent=persistent)


__all__ = ["Outgoing", "Properties", "address_of", "decode", "encode"]
