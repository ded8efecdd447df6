"""What the commands see of the broker. `agent.cli.link` puts `ComputeClient` behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from agent.rpc.schema import Method
from agent.rpc.schema.base import Message
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.results import Result


class BrokerUnreachable(Exception):
    """The broker can't be reached, or the connection was lost; the text says where and why, without a password."""


class LoginRefused(Exception):
    """The broker refuses the login or a right."""


class Unroutable(Exception):
    """No queue of that name: no agent has ever run for this host on this broker."""


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A cast that was refused. `body` has a placeholder for each secret; None when it wasn't kept."""

    id: str
    host: str
    method: str
    code: str
    message: str
    time: str
    removed: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    queue: str = ""


class Client(Protocol):
    """All may raise BrokerUnreachable and LoginRefused; what an agent answers as an error is an AgentError."""

    async def call(self, method: Method, host: str, args: Message, *, timeout: float) -> Result:
        """Raises AgentError, TimedOut among them; Unroutable."""
        ...

    async def cast(self, method: Method, host: str, args: Message) -> str:
        """The message's identity, by which its events are known. Raises Unroutable."""
        ...

    def events(self, *, instance: UUID | None = None) -> AbstractAsyncContextManager[AsyncIterator[CloudEvent]]:
        """Events from now on: all, or one instance's. Subscribed when the context is entered."""
        ...

    async def parked(self, limit: int) -> tuple[ParkedMessage, ...]:
        """The oldest parked messages; they stay where they are."""
        ...

    async def resend(self, parked: ParkedMessage, body: Mapping[str, Any]) -> None:
        """Publish `body` to the queue it had been refused on, then remove the parked message. Raises NotFound,
        Unroutable."""
        ...

    async def drop(self, parked: ParkedMessage) -> None:
        """Raises NotFound."""
        ...
