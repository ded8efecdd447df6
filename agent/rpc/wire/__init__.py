"""Bytes <-> Request and Answer, pure: one file for each format, told apart per message.

    delivery --opened--> format known --address--> where its answer goes --request--> Request
    answer   --encode, refuse, heartbeat, by the format in its address--> message

A format is a module as `Format` describes it. The address is made first and apart: a call that can't be
understood still gets its error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from agent.errors import AgentError, InvalidRequest
from agent.journal.records import Address, Answer
from agent.rpc import dead_letters
from agent.rpc.desk import Request
from agent.rpc.message import Outgoing, Properties
from agent.rpc.wire import document, oslo, plain
from agent.rpc.wire.oslo import Monitor


class Format(Protocol):
    NAME: str

    def unwrap(self, outer: dict[str, Any], max_bytes: int, /) -> tuple[dict[str, Any], InvalidRequest | None]:
        """What is inside the body, as far as it can be read, and what is wrong with what is around it."""
        ...

    def address(self, properties: Properties, document: dict[str, Any], replies: str, /) -> Address | None:
        """Where the answer goes, None for a cast. Raises InvalidRequest."""
        ...

    def decode(
        self, properties: Properties, document: dict[str, Any], address: Address | None, now: datetime, /
    ) -> Request:
        """Raises InvalidRequest naming what is wrong and how to mend it."""
        ...

    def encode(self, address: Address, answer: Answer, message_id: str, *, persistent: bool) -> Outgoing: ...

    def refuse(self, address: Address, refusal: AgentError, message_id: str, /) -> Outgoing: ...


class _Encode(Protocol):
    def __call__(self, address: Address, answer: Answer, message_id: str, *, persistent: bool) -> Outgoing: ...


_FORMATS: dict[str, Format] = {plain.NAME: plain, oslo.NAME: oslo}
_ENCODERS: dict[str, _Encode] = {
    **{name: form.encode for name, form in _FORMATS.items()},
    dead_letters.NAME: dead_letters.encode,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A delivery whose format is known. `problem`: why it can't be taken, however much of it could be read."""

    form: Format
    properties: Properties
    document: dict[str, Any] = field(repr=False)
    problem: InvalidRequest | None = None

    def address(self, replies: str) -> Address | None:
        """Where the answer goes, None for a cast. Raises InvalidRequest."""
        return self.form.address(self.properties, self.document, replies)

    def request(self, address: Address | None, now: datetime) -> Request:
        """Raises InvalidRequest naming what is wrong and how to mend it."""
        if self.problem is not None:
            raise self.problem
        return self.form.decode(self.properties, self.document, address, now)


def opened(properties: Properties, body: bytes, *, max_bytes: int) -> Opened:
    """Never raises: what is wrong is told by the one that is asked for."""
    mislabelled = document.mislabelled(properties)
    try:
        outer = document.load(body, max_bytes=max_bytes)
    except InvalidRequest as unreadable:
        return Opened(plain, properties, {}, mislabelled or unreadable)
    form: Format = oslo if oslo.recognises(outer) else plain
    inner, problem = form.unwrap(outer, max_bytes)
    return Opened(form, properties, inner, mislabelled or problem)


def encode(address: Address, answer: Answer, message_id: str, *, persistent: bool = True) -> Outgoing:
    """The answer in the format that the request came in. A format that a later version of the agent wrote
    into the journal is answered in plain: its caller is told something, and nothing is kept for ever."""
    encoder = _ENCODERS.get(address.format, plain.encode)
    return encoder(address, answer, message_id, persistent=persistent)


def refuse(address: Address, refusal: AgentError, message_id: str) -> Outgoing:
    """What the caller is told whose request wasn't taken."""
    return _FORMATS.get(address.format, plain).refuse(address, refusal, message_id)


def monitor(address: Address | None) -> Monitor | None:
    """Whether the caller wants to hear, again and again, that its call is being worked on."""
    return oslo.monitor(address) if address is not None and address.format == oslo.NAME else None


def heartbeat(address: Address, message_id: str) -> Outgoing:
    """The message that says so. Only for an address that has a `monitor`."""
    return oslo.heartbeat(address, message_id)


__all__ = ["Monitor", "Opened", "Outgoing", "Properties", "encode", "heartbeat", "monitor", "opened", "refuse"]
