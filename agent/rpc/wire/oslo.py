"""The format of oslo.messaging 2.0, so that OpenStack's own clients can call: JSON in JSON.

    {"oslo.version": "2.0", "oslo.message": "<the inner object, as a string>"}

    request   method, args, namespace?, version?, _unique_id, _context_<key>...
              and for a call _msg_id, _reply_q, _timeout
    answer    result, failure, ending: true, _msg_id, _unique_id
    heartbeat the same with nothing in it and ending: false, while a call with a `_timeout` is under way

`_timeout` is how long the caller waits for a sign of life; how long it waits altogether is the message's
expiration. A bare inner object is taken too: the library's version 1.0. Pure; nothing of oslo is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ConfigDict, Field, ValidationError
from pydantic_core import to_json

from agent.errors import BY_CODE, AgentError, Internal, InvalidRequest
from agent.journal.records import Address, Answer, Caller
from agent.operations.outcome import error_body
from agent.rpc.desk import Request
from agent.rpc.message import Outgoing, Properties
from agent.rpc.router import UnknownMethod, UnsupportedVersion
from agent.rpc.schema.base import Message, Text
from agent.rpc.validation import refusal
from agent.rpc.wire import delivery, document

NAME: Final = "oslo"
VERSION: Final = "2.0"
PING: Final = "oslo_rpc_server_ping"

_VERSION_KEY, _MESSAGE_KEY = "oslo.version", "oslo.message"
_UNIQUE_ID, _MSG_ID, _REPLY_Q, _TIMEOUT = "_unique_id", "_msg_id", "_reply_q", "_timeout"
_MARKS = (_VERSION_KEY, _MESSAGE_KEY, _UNIQUE_ID, _MSG_ID)
_LONGEST_NAME = 255  # bytes of a queue's name in AMQP
_LONGEST_MONITOR_S = 24 * 3600

# What a context calls who asks; older and newer releases differ.
_CONTEXT: dict[str, tuple[str, ...]] = {
    "request_id": ("request_id",),
    "global_request_id": ("global_request_id",),
    "user_id": ("user_id", "user"),
    "project_id": ("project_id", "project", "tenant"),
}

# Arguments that `call(ctxt, method, **kwargs)` keeps for itself have another name there.
_KEYWORDS = {"method_": "method"}

_DISPATCHER = "oslo_messaging.rpc.dispatcher"


@dataclass(frozen=True, slots=True)
class Monitor:
    """A call whose caller wants signs of life: one each `every_s` seconds, and none after `patience_s`, when the
    caller itself has given up (None: it doesn't say)."""

    every_s: float
    patience_s: float | None


class _Body(Message):
    """What oslo's own server looks at; it ignores everything else, and so does this."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    method: Text
    version: Text | None = None
    namespace: Text | None = None
    args: dict[str, Any] = Field(default_factory=dict)


def recognises(outer: dict[str, Any]) -> bool:
    return any(mark in outer for mark in _MARKS)


def unwrap(outer: dict[str, Any], max_bytes: int) -> tuple[dict[str, Any], InvalidRequest | None]:
    """The inner object, as far as it can be read, and what is wrong with the envelope."""
    if _MESSAGE_KEY not in outer or _VERSION_KEY not in outer:
        return outer, None
    message = outer[_MESSAGE_KEY]
    if not isinstance(message, str):
        problem = f"is {document.kind(message)}"
        return {}, InvalidRequest.field(_MESSAGE_KEY, problem, "send the message as JSON in a string")
    try:
        inner = document.load(message, max_bytes=max_bytes, where=_MESSAGE_KEY)
    except InvalidRequest as unreadable:
        return {}, unreadable
    if outer[_VERSION_KEY] != VERSION:
        return inner, InvalidRequest.field(_VERSION_KEY, "isn't spoken here", f"send {VERSION}")
    return inner, None


def address(properties: Properties, inner: dict[str, Any], replies: str) -> Address | None:
    """Where the answer goes, None for a cast. Raises InvalidRequest."""
    if not inner.get(_MSG_ID):
        return None
    extra: dict[str, Any] = {}
    if (seconds := _seconds(inner.get(_TIMEOUT))) is not None:
        extra["monitor_s"] = seconds
        extra["patience_s"] = properties.expiration
    if inner.get("method") == PING:
        extra["pong"] = True
    return Address(format=NAME, reply_to=_name(inner, _REPLY_Q), correlation_id=_name(inner, _MSG_ID), extra=extra)


def decode(properties: Properties, inner: dict[str, Any], address: Address | None, now: datetime) -> Request:
    """Raises InvalidRequest, of these UnsupportedVersion for a namespace, as oslo has it."""
    try:
        body = _Body.model_validate(inner)
    except ValidationError as error:
        raise refusal(_Body, error) from None
    if body.namespace is not None:
        raise UnsupportedVersion.field("namespace", "this agent has none", "leave it out")
    ping = body.method == PING
    return Request(
        method="ping" if ping else body.method,
        args={} if ping else {_KEYWORDS.get(key, key): value for key, value in body.args.items()},
        version=body.version or "1.0",
        caller=_caller(inner),
        identity=_identity(inner.get(_UNIQUE_ID)),
        scope=delivery.scope(properties),
        address=address,
        deadline=delivery.deadline(properties, now),
    )


def encode(address: Address, answer: Answer, message_id: str, *, persistent: bool) -> Outgoing:
    """The answer as it is published to `address`."""
    if answer.error is not None:
        return _outgoing(address, message_id, failure=_failure(answer.error), persistent=persistent)
    result = "pong" if address.extra.get("pong") else answer.result
    return _outgoing(address, message_id, result=result, persistent=persistent)


def refuse(address: Address, refusal: AgentError, message_id: str) -> Outgoing:
    """As oslo's dispatcher says it, where it is the one that says it."""
    failure = _failure(error_body(refusal))
    for kind, (name, begin) in _DISPATCHERS.items():
        if isinstance(refusal, kind):
            message = f"{begin}: {refusal.message}"
            own = {"class": name, "module": _DISPATCHER, "message": message, "args": [message], "kwargs": {}}
            failure |= own
    return _outgoing(address, message_id, failure=failure, persistent=False)


def monitor(address: Address) -> Monitor | None:
    """Half the caller's patience: enough for what may hold up one of them."""
    seconds = address.extra.get("monitor_s")
    return None if seconds is None else Monitor(seconds / 2, address.extra.get("patience_s"))


def heartbeat(address: Address, message_id: str) -> Outgoing:
    """It is worth nothing later, so that none pile up in the queue of a caller that died."""
    expiration = float(address.extra["monitor_s"])
    return _outgoing(address, message_id, ending=False, persistent=False, expiration=expiration)


def _outgoing(
    address: Address,
    message_id: str,
    *,
    result: object = None,
    failure: dict[str, Any] | None = None,
    ending: bool = True,
    persistent: bool,
    expiration: float | None = None,
) -> Outgoing:
    inner = {
        "result": result,
        "failure": None if failure is None else to_json(failure).decode(),
        "ending": ending,
        _MSG_ID: address.correlation_id,
        _UNIQUE_ID: message_id.replace("-", ""),
    }
    return Outgoing(
        exchange=address.exchange,
        routing_key=address.reply_to,
        body=enveloped(inner),
        message_id=message_id,
        persistent=persistent,
        expiration=expiration,
    )


def enveloped(inner: dict[str, Any]) -> bytes:
    """An inner object as it travels."""
    return to_json({_VERSION_KEY: VERSION, _MESSAGE_KEY: to_json(inner).decode()})


def _failure(error: dict[str, Any]) -> dict[str, Any]:
    """Raised at the caller as RemoteError with our class as `exc_type`, or, where `agent.errors` is there and
    allowed, as that class. What has no place of its own in a RemoteError is the one line of its traceback."""
    kind = BY_CODE.get(str(error.get("code")), Internal)
    message = str(error.get("message"))
    return {
        "class": kind.__name__,
        "module": kind.__module__,
        "message": message,
        "tb": [to_json(error).decode()],
        "args": [message],
        "kwargs": {"details": error.get("details"), "incident": error.get("incident")},
    }


_DISPATCHERS: dict[type[AgentError], tuple[str, str]] = {
    UnknownMethod: ("NoSuchMethod", "Endpoint does not support RPC method"),
    UnsupportedVersion: ("UnsupportedVersion", "Endpoint does not support RPC version"),
}
"""What oslo has errors of its own for: the class's name, and how its text begins."""


def _caller(inner: dict[str, Any]) -> Caller:
    """A context is the caller's own business: what isn't a text of ours is passed over, not refused."""
    return Caller(**{ours: _first_text(inner, theirs) for ours, theirs in _CONTEXT.items()})


def _first_text(inner: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = inner.get(f"_context_{key}")
        if isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable():
            return value
    return None


def _identity(given: object) -> str | None:
    if given is not None and not isinstance(given, str):
        raise InvalidRequest.field(_UNIQUE_ID, f"is {document.kind(given)}", "send a string")
    return delivery.identity(given, _UNIQUE_ID)


def _name(inner: dict[str, Any], key: str) -> str:
    value = inner.get(key)
    if not isinstance(value, str) or not 0 < len(value.encode()) <= _LONGEST_NAME:
        raise InvalidRequest.field(
            key, "is no name of a queue" if key == _REPLY_Q else "is no id", "send a string"
        )
    return value


def _seconds(timeout: object) -> int | None:
    """As oslo's server reads it: whole seconds, and nothing under two."""
    if not isinstance(timeout, int | float | str):
        return None
    try:
        seconds = int(timeout)
    except (ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST_MONITOR_S) if seconds >= 2 else None
