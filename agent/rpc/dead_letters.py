"""What becomes of a refused cast: there is nobody to answer, so it is parked for a person. Pure.

    refused at once      `parked`: published, confirmed, and only then is the request acknowledged
    accepted, fails      `address` is journaled with the operation; its failure is "answered" there, by `encode`

The agent publishes it itself, with the reason in headers and without secrets. The broker's own dead-lettering
would keep the secrets and not the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import uuid4

from agent.errors import AgentError
from agent.journal.records import Address, Answer
from agent.names import Names
from agent.rpc.message import Outgoing, Properties
from agent.rpc.redact import Redacted, redact
from agent.rpc.schema.envelope import Parked

NAME: Final = "dead-letter"
_LONGEST = 1000  # characters of one header


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A request that nobody waits for: as it came, and from which queue. `method` when it could be read."""

    properties: Properties
    body: bytes
    queue: str
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Cast):
    """And why it was refused."""

    error: AgentError


def parked(refused: Refused, names: Names, now: datetime, *, max_bytes: int) -> Outgoing:
    """The message for the queue of dead letters. Its `message_id` is the request's own, so that a request
    that is sent again keeps its identity."""
    clean = redact(refused.body) if len(refused.body) <= max_bytes else None
    reason = {Parked.CODE: refused.error.code, Parked.MESSAGE: refused.error.message[:_LONGEST]}
    return Outgoing(
        exchange=names.dead_letters,
        routing_key=names.host,
        body=clean.body if clean else b"",
        message_id=refused.properties.message_id or uuid4().hex,
        headers=reason | _headers(refused, clean, names, now),
    )


def address(cast: Cast, names: Names, now: datetime) -> Address:
    """Where an accepted cast goes if it fails."""
    clean = redact(cast.body)
    if clean is None:
        raise ValueError("an accepted cast is a JSON object")
    return Address(
        format=NAME,
        reply_to=names.host,
        exchange=names.dead_letters,
        extra={"body": clean.body.decode(), "headers": _headers(cast, clean, names, now)},
        correlation_id=cast.properties.message_id,
        only_failures=True,
    )


def encode(address: Address, answer: Answer, message_id: str, *, persistent: bool = True) -> Outgoing:
    """The failed cast, with what its caller would have been told."""
    error = answer.error or {}
    reason = {Parked.CODE: str(error.get("code")), Parked.MESSAGE: str(error.get("message"))[:_LONGEST]}
    return Outgoing(
        exchange=address.exchange,
        routing_key=address.reply_to,
        body=str(address.extra["body"]).encode(),
        message_id=address.correlation_id or message_id,
        headers=reason | address.extra["headers"],
        persistent=persistent,
    )


def _headers(refused: Cast, clean: Redacted | None, names: Names, now: datetime) -> dict[str, str | int]:
    headers: dict[str, str | int] = {
        Parked.QUEUE: refused.queue,
        Parked.METHOD: (refused.method or "")[:_LONGEST],
        Parked.HOST: names.host,
        Parked.TIME: now.isoformat(),
        Parked.USER: refused.properties.user_id or "",
        Parked.APP: refused.properties.app_id or "",
        Parked.BODY: "redacted" if clean else "omitted",
        Parked.REMOVED: ", ".join(clean.removed)[:_LONGEST] if clean else "",
        Parked.LENGTH: len(refused.body),
        # Beside a redacted body a digest would let a weak password be guessed.
        Parked.SHA256: "" if clean else sha256(refused.body).hexdigest(),
    }
    return {name: value for name, value in headers.items() if value != ""}
