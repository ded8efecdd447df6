"""The plain format: JSON that any language can write; see the reference on messages.

    {"method": "spawn", "version": "1.0", "args": {...}, "context": {...}}
    {"result": {...}}  or  {"error": {"code": ..., "message": ..., ...}}

Everything else rides in the AMQP properties. Pure.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from agent.errors import InvalidRequest
from agent.journal.records import Address, Answer, Caller
from agent.rpc.desk import Request
from agent.rpc.message import Outgoing, Properties
from agent.rpc.schema.envelope import DEADLINE, LONGEST_IDENTITY, REPLY_EXCHANGE, Body
from agent.rpc.validation import refusal

NAME: Final = "plain"

_TIME = TypeAdapter(datetime)


def decode(properties: Properties, document: dict[str, Any], address: Address | None, now: datetime) -> Request:
    """Raises InvalidRequest. `address` is what `address` made of the same properties."""
    if address is not None and not address.correlation_id:
        raise InvalidRequest.field("correlation_id", "is missing", "a call needs one to know its answer by")
    try:
        body = Body.model_validate(document)
    except ValidationError as error:
        raise refusal(Body, error) from None
    return Request(
        method=body.method,
        version=body.version,
        args=body.args,
        caller=Caller(**body.context.model_dump()),
        identity=_identity(properties.message_id),
        scope=scope(properties),
        address=address,
        deadline=_deadline(properties, now),
    )


def address(properties: Properties, replies: str) -> Address | None:
    """Where an answer goes; None for a cast. Raises InvalidRequest.

    Needs no body, so that a call is answered even when its body can't be read. The exchange is one of
    two: the agent's rights are no tool for writing into other exchanges.
    """
    if not properties.reply_to:
        return None
    exchange = properties.headers.get(REPLY_EXCHANGE, "")
    if exchange not in ("", replies):
        raise InvalidRequest.field(
            f"headers.{REPLY_EXCHANGE}", "names another exchange", f"leave it out, or send {replies!r}"
        )
    return Address(
        format=NAME, reply_to=properties.reply_to, correlation_id=properties.correlation_id, exchange=exchange
    )


def encode(address: Address, answer: Answer, message_id: str, *, persistent: bool) -> Outgoing:
    """The answer as it is published to `address`."""
    document = {"error": answer.error} if answer.error is not None else {"result": answer.result}
    return Outgoing(
        exchange=address.exchange,
        routing_key=address.reply_to,
        body=to_json(document),
        message_id=message_id,
        correlation_id=address.correlation_id,
        persistent=persistent,
    )


def scope(properties: Properties) -> str:
    """Whose identities they are. The broker vouches for `user_id`, so nobody can take another's answers."""
    return f"{quote(properties.user_id or '', safe='')}/{quote(properties.app_id or '', safe='')}"


def _identity(message_id: str | None) -> str | None:
    if message_id and len(message_id) > LONGEST_IDENTITY:
        raise InvalidRequest.field("message_id", "is too long", f"at most {LONGEST_IDENTITY} characters")
    return message_id or None


def _deadline(properties: Properties, now: datetime) -> datetime | None:
    """The earlier of the header and the message's expiration, which counts from when it was sent."""
    ends = []
    if (header := properties.headers.get(DEADLINE)) is not None:
        ends.append(_time(header))
    if properties.expiration is not None:
        sent = properties.timestamp or now
        # A clock that is ahead must not lengthen it. What ends beyond the calendar doesn't end.
        with suppress(OverflowError):
            ends.append(min(sent, now) + timedelta(seconds=properties.expiration))
    return min(ends, default=None)


def _time(header: object) -> datetime:
    mend = "send RFC 3339 with an offset, as in 2030-01-31T12:00:00Z"
    if not isinstance(header, str):
        raise InvalidRequest.field(f"headers.{DEADLINE}", "isn't a string", mend)
    try:
        time = _TIME.validate_json(to_json(header), strict=True)
    except ValidationError:
        raise InvalidRequest.field(f"headers.{DEADLINE}", "isn't a time", mend) from None
    if time.tzinfo is None:
        raise InvalidRequest.field(f"headers.{DEADLINE}", "has no offset", mend)
    return time
