"""A message without AMQP: what the formats read and write, and what the publisher is handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.rpc.schema.envelope import CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Properties:
    """AMQP properties of a delivery, those that any format reads. `expiration` in seconds."""

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: float | None = None
    message_id: str | None = None
    timestamp: datetime | None = None
    user_id: str | None = None
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. `message_id` stays the same over all attempts.

    `mandatory`: a message that reaches no queue is reported, not dropped.
    """

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    content_type: str = CONTENT_TYPE
    correlation_id: str | None = None
    headers: Mapping[str, str | int] = field(default_factory=dict)
    persistent: bool = True
    mandatory: bool = True
    reply_to: str | None = None
    expiration: float | None = None
    user_id: str | None = None
    app_id: str | None = None
