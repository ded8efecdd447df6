"""What becomes of a refused cast: there is nobody to answer, so it is parked for a person. Pure.

The agent publishes it itself, with the reason in headers and without secrets, has that confirmed, and only
then acknowledges the request. The broker's own dead-lettering would keep the secrets and not the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

from agent.errors import AgentError
from agent.rpc.message import Outgoing, Properties
from agent.rpc.names import Names
from agent.rpc.redact import Redacted, redact
from agent.rpc.schema.envelope import Parked

_LONGEST = 1000  # characters of one header


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused: as it came, from which queue, and why. `method` when it could be read."""

    properties: Properties
    body: bytes
    queue: str
    error: AgentError
    method: str | None = None


def parked(refused: Refused, names: Names, now: datetime, *, max_bytes: int) -> Outgoing:
    """The message for the queue of dead letters. Its `message_id` is the request's own, so that a request
    that is sent again keeps its identity."""
    clean = redact(refused.body) if len(refused.body) <= max_bytes else None
    return Outgoing(
        exchange=names.dead_letters,
        routing_key=names.host,
        body=clean.body if clean else b"",
        message_id=refused.properties.message_id or uuid4().hex,
        headers={name: value for name, value in _headers(refused, clean, names, now).items() if value != ""},
    )


def _headers(refused: Refused, clean: Redacted | None, names: Names, now: datetime) -> dict[str, str | int]:
    return {
        Parked.CODE: refused.error.code,
        Parked.MESSAGE: refused.error.message[:_LONGEST],
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
