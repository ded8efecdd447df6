"""What is around a request and an answer in the plain format: the same for the agent and for clients."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from agent.rpc.schema.base import Message, Text
from agent.rpc.schema.results import Error, Result

CONTENT_TYPE = "application/json"

DEADLINE = "x-deadline"
"""Header of a request, RFC 3339: past it nothing is begun."""
REPLY_EXCHANGE = "x-reply-exchange"
"""Header of a request: the exchange its answer is to be published to, in place of the default one."""

PLACEHOLDER = "<removed: fill in before sending again>"
"""Stands for each secret of a parked request. A request that still holds it is refused."""

LONGEST_IDENTITY = 128
"""Characters of `message_id` and `idempotency_key`."""


class Context(Message):
    """Who asks, and under which ids. Further keys are the caller's own business."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    request_id: Text | None = None
    """Rides into logs and events; the agent makes one when there is none."""
    global_request_id: Text | None = None
    """Of what the request is a part of."""
    user_id: Text | None = None
    """Whom it is done for."""
    project_id: Text | None = None
    """Whose it is."""


class Body(Message):
    """Body of a request."""

    method: Text
    version: Text = "1.0"
    """Of the contract. An agent takes its own major version up to its own minor one."""
    args: dict[str, Any] = Field(default_factory=dict)
    """The method's arguments."""
    context: Context = Context()


class Reply(Result):
    """Body of an answer: one of the two."""

    result: dict[str, Any] | None = None
    error: Error | None = None


class Parked:
    """Headers of a message in the queue of dead letters."""

    CODE = "x-error-code"
    MESSAGE = "x-error-message"
    QUEUE = "x-original-queue"
    METHOD = "x-method"
    HOST = "x-host"
    TIME = "x-time"
    USER = "x-original-user-id"
    APP = "x-original-app-id"
    BODY = "x-body"
    """`redacted`: secrets are replaced by a placeholder; `omitted`: it couldn't be read, so it isn't kept."""
    REMOVED = "x-removed"
    """Paths of what was replaced, comma-separated."""
    LENGTH = "x-body-length"
    """Bytes of the body as it came."""
    SHA256 = "x-body-sha256"


__all__ = [
    "CONTENT_TYPE",
    "DEADLINE",
    "LONGEST_IDENTITY",
    "PLACEHOLDER",
    "REPLY_EXCHANGE",
    "Body",
    "Context",
    "Parked",
    "Reply",
]
