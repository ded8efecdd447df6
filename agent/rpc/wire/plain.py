"""The plain format: JSON that any language can write; see the reference on messages.

    {"method": "spawn", "version": "1.0", "args": {...}, "context": {...}}
    {"result": {...}}  or  {"error": {"code": ..., "message": ..., ...}}

Everything else rides in the AMQP properties. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import to_json

from agent.errors import AgentError, InvalidRequest
from agent.journal.records import Address, Answer, Caller
from agent.operations.outcome import error_body
from agent.rpc.desk import Request
from agent.rpc.message import Outgoing, Properties
from agent.rpc.schema.envelope import REPLY_EXCHANGE, Body
from agent.rpc.validation import refusal
from agent.rpc.wire import delivery

NAME: Final = "plain"


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
        identity=delivery.identity(properties.message_id, "message_id"),
        scope=delivery.scope(properties),
        address=address,
        deadline=delivery.deadline(properties, now),
    )


def unwrap(outer: dict[str, Any], max_bytes: int) -> tuple[dict[str, Any], InvalidRequest | None]:
    """There is nothing around it."""
    return outer, None


def address(properties: Properties, document: dict[str, Any], replies: str) -> Address | None:
    """Where an answer goes; None for a cast. Raises InvalidRequest.

    Looks at nothing of the body, so that a call is answered even when its body can't be read. The exchange is
    one of two: the agent's rights are no tool for writing into other exchanges.
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


def refuse(address: Address, refusal: AgentError, message_id: str) -> Outgoing:
    """The same for a request that was refused."""
    return encode(address, Answer(error=error_body(refusal)), message_id, persistent=False)
