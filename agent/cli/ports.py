"""What the commands see of the broker: the part of `rpc.client.ComputeClient` that they use.

A Protocol, so that tests can answer in its place, and so that no command's module loads the broker's library.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from agent.rpc.schema import Method
from agent.rpc.schema.base import Message
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.results import Result
from agent.rpc.streams import Missed, Position

if TYPE_CHECKING:
    from agent.rpc.parked import ParkedMessage


class Client(Protocol):
    """All may raise the client's BrokerUnreachable and LoginRefused; an agent's error answer is an AgentError."""

    async def call(self, method: Method, host: str | None, args: Message, *, timeout: float) -> Result:
        """Raises AgentError, TimedOut among them; Unroutable."""
        ...

    async def cast(self, method: Method, host: str | None, args: Message) -> str:
        """The message's identity, by which its events are known. Raises Unroutable."""
        ...

    def events(
        self,
        *keys: str,
        instance: UUID | None = None,
        after: Mapping[str, Position] | None = None,
        on_missed: Callable[[Missed], None] = ...,
    ) -> AbstractAsyncContextManager[AsyncIterator[CloudEvent]]:
        """Events from now on, by routing key or of one instance; those of the hosts in `after` from there on.
        Subscribed when the context is entered."""
        ...

    async def parked(self, limit: int, /) -> tuple[ParkedMessage, ...]:
        """The oldest parked messages; they stay where they are."""
        ...

    async def resend(self, parked: ParkedMessage, body: Mapping[str, Any], /) -> None:
        """Publish `body` to the queue it had been refused on, then remove the parked message. Raises NotFound,
        Unroutable."""
        ...

    async def drop(self, parked: ParkedMessage, /) -> None:
        """Raises NotFound."""
        ...
