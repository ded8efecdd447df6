"""The client, to servers that speak oslo.messaging alone: a host of another make that keeps the same contract.

    async with OsloClient("amqp://...", exchange="nova") as compute:
        await compute.stop("host1", Stop(instance_uuid=...), timeout=60)

What the client would send is translated on its way out, and answers on their way in; everything else is as with
`ComputeClient`. To an agent of this project both are the same. Events, parked messages and what has a queue of
its own (`<host>.query`) are an agent's: a server of the library has none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from agent.errors import BY_CODE
from agent.rpc.client import ComputeClient
from agent.rpc.message import Outgoing
from agent.rpc.replies import UNREADABLE
from agent.rpc.schema.envelope import DEADLINE, Reply
from agent.rpc.schema.results import Error
from agent.settings_broker import Amqp

_CODES = {kind.__name__: code for code, kind in BY_CODE.items()}
_QUERIES = ".query"


class OsloClient(ComputeClient):
    """`exchange` is the servers' `control_exchange`, `topic` their topic; both must be there."""

    def __init__(self, broker: str | Amqp, *, exchange: str = "openstack", topic: str = "compute") -> None:
        super().__init__(broker, exchange=exchange, topic=topic, replies_exchange=False, read=answer)

    async def _send(self, message: Outgoing) -> None:
        await super()._send(translated(message, datetime.now(UTC)))


def translated(message: Outgoing, now: datetime) -> Outgoing:
    """A request in the plain format as oslo's client would send it. A server of the library knows of no deadline:
    the broker drops what nobody waits for any more. Pure."""
    plain = from_json(message.body)
    inner = {
        "method": plain["method"],
        "version": plain["version"],
        "args": plain["args"],
        "_unique_id": message.message_id,
        **{f"_context_{key}": value for key, value in plain["context"].items()},
    }
    if message.reply_to is not None:
        inner |= {"_msg_id": message.correlation_id, "_reply_q": message.reply_to, "_timeout": None}
    body = to_json({"oslo.version": "2.0", "oslo.message": to_json(inner).decode()})
    queue = message.routing_key.removesuffix(_QUERIES)
    expiration = _left(message, now)
    return replace(
        message, body=body, routing_key=queue, reply_to=None, correlation_id=None, expiration=expiration
    )


def _left(message: Outgoing, now: datetime) -> float | None:
    """Seconds until nobody waits for the answer."""
    if (deadline := message.headers.get(DEADLINE)) is None:
        return message.expiration
    return max(0.0, (datetime.fromisoformat(str(deadline)) - now).total_seconds())


def answer(body: bytes, _correlation_id: str | None) -> tuple[str | None, Reply | None]:
    """Which call an answer is to, and what it says: None for a sign of life. Pure."""
    try:
        inner = from_json(from_json(body)["oslo.message"])
        if not inner["ending"]:
            return None, None
        call = str(inner["_msg_id"])
    except (ValueError, KeyError, TypeError):
        return None, None
    try:
        return call, _failed(from_json(inner["failure"])) if inner["failure"] else Reply(result=inner["result"])
    except (ValueError, KeyError, TypeError):
        return call, Reply(error=UNREADABLE)


def _failed(failure: Mapping[str, Any]) -> Reply:
    """An agent's error as it is; of another server's the class says what it means, if it is one of ours."""
    try:
        return Reply(error=Error.model_validate_json(failure["tb"][0]))
    except (ValidationError, LookupError, TypeError):
        name = str(failure["class"])
        code = _CODES.get(name, name)
        retryable = code in BY_CODE and BY_CODE[code].retryable
        return Reply(error=Error(code=code, message=str(failure["message"]), retryable=retryable))


__all__ = ["OsloClient"]
