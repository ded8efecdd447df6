"""What the edge hands inwards: a validated call, and the desk that takes it.

`rpc.consumer` makes a `Call` from a delivery and gives it to the desk; `rpc.handlers` is the desk. The
edge never sees an operation, the desk never sees AMQP.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from agent.journal.records import Address, Caller
from agent.rpc.schema import Method
from agent.rpc.schema.base import Message
from agent.rpc.schema.results import Result


class Source(enum.StrEnum):
    """The queue a request came from decides what may be asked there."""

    COMMANDS = "commands"
    QUERIES = "queries"
    SHARED = "shared"
    FANOUT = "fanout"


@dataclass(frozen=True, slots=True)
class Request:
    """One message, decoded by `rpc.wire`, not yet validated.

    `identity` is the message's own (`message_id`, `_unique_id`), unscoped; `idempotency_key` in the args
    takes its place later. `address` is None for a cast.
    """

    method: str
    version: str
    args: dict[str, Any]
    caller: Caller
    identity: str | None
    scope: str
    address: Address | None
    deadline: datetime | None = None
    parking: Address | None = None
    """For a cast: where it goes if it fails after it was accepted."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose method is known and whose arguments are valid."""

    method: Method
    params: Message
    request: Request


class Desk(Protocol):
    async def answer(self, call: Call) -> Result:
        """Answer a read. Raises AgentError."""
        ...

    async def accept(self, call: Call) -> None:
        """Take a change. When this returns it is in the journal and will be answered from there, whatever
        happens; then, and only then, the delivery is acknowledged. Raises AgentError when it is refused:
        nothing was journaled, and the edge answers or parks it."""
        ...

    async def tell_refused(self, call: Call | None, request: Request, error: Exception) -> None:
        """A cast was refused: its `.error` event, if the instance's uuid could be read."""
        ...

    def has_room(self) -> bool:
        """False while `operations.max_pending` operations are unfinished: then commands stay in the broker."""
        ...

    async def wait_for_room(self) -> None: ...
