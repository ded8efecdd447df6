"""The contract as an AsyncAPI 3 document, made from the models: what `agent-cli schema` prints.

    dialect    models -> JSON schemas
    messages   every message: requests, results, the error, events, parked casts
    channels   exchanges, queues, routing keys
    examples   messages that were recorded

The document speaks from the agent's side: it receives requests and sends events. Pure, but for the examples' file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from agent.rpc.schema import METHODS, VERSION
from agent.rpc.schema.asyncapi import headers
from agent.rpc.schema.asyncapi.channels import BINDING, QUERIES, READS, channels, described
from agent.rpc.schema.asyncapi.dialect import COMPONENTS, Schema, alone, schemas
from agent.rpc.schema.asyncapi.examples import examples_of
from agent.rpc.schema.asyncapi.messages import Published, messages, named, result_of
from agent.rpc.schema.envelope import CONTENT_TYPE
from agent.rpc.schema.event_types import TYPES, EventType

ASYNCAPI = "3.0.0"

_ABOUT = """\
Commands, answers and events of the compute agent on RabbitMQ, in its plain format: JSON over AMQP 0-9-1.

* A request with `reply_to` is a call, without it a cast. A changing method is answered when its work is done, and
  its `.start`, `.end` or `.error` event tells of it; a read is answered at once.
* `message_id`, or `idempotency_key` in `args`, is the identity of a changing request: the same again gets the
  first answer, and never a second effect.
* Later versions of this document add methods, arguments, fields, events and error codes; they never change what
  stands. Ignore the fields of answers and events that you don't know.
* The names of exchanges and queues are those of the default settings.
"""


def document() -> dict[str, Any]:
    """The whole of it."""
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Compute agent",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"broker": _SERVER},
        "channels": {channel.name: described(channel) for channel in channels()},
        "operations": dict(_operations()),
        "components": {
            "messages": {name: _message(message) for name, message in messages().items()},
            "schemas": _schemas(),
        },
    }


def schema_of(message: Published) -> Schema:
    """The JSON schema of a message's body, as a document of its own."""
    return alone(message.body.__name__, _schemas())


_SERVER = {
    "host": "{address}",
    "protocol": "amqp",
    "protocolVersion": "0.9.1",
    "description": "RabbitMQ; with TLS the protocol is amqps.",
    "variables": {"address": {"default": "localhost:5672", "description": "Host and port."}},
    "security": [
        {"type": "userPassword", "description": "The broker's user."},
        {"type": "X509", "description": "A certificate of the client's own, where the broker asks for one."},
    ],
}


@cache
def _schemas() -> dict[str, Schema]:
    return schemas(message.body for message in messages().values())


def _message(message: Published) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": message.name,
        "title": message.body.__name__,
        "summary": message.summary,
        "description": message.description,
        "contentType": message.content_type,
        "payload": {"$ref": COMPONENTS + message.body.__name__},
        "headers": message.headers,
        "correlationId": {"location": headers.CORRELATION_ID} if message.kind in _CORRELATED else {},
        "bindings": {"amqp": {"x-properties": dict(message.properties), "bindingVersion": BINDING}},
        "examples": [dict(example) for example in examples_of(message.name)],
        **message.facts,
    }
    return {key: value for key, value in made.items() if value}


_CORRELATED = ("request", "result", "error")


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """For each method one, on the queue that suits it best, and those where several are taken beside it."""
    for name, method in METHODS.items():
        yield name, _received("queries" if method.on_query_queue else "commands", (name,))
    yield "queries_on_commands", _received("commands", QUERIES)
    yield "reads_by_any_host", _received("any_host", READS)
    yield "reads_by_all_hosts", _received("all_hosts", READS)
    for kind in TYPES:
        yield kind.name, _told(kind)
    yield "park", _sent("dead_letters", "parked", messages()["parked"].summary, persistent=True)


def _received(channel: str, methods: tuple[str, ...]) -> dict[str, Any]:
    one = messages()[methods[0]] if len(methods) == 1 else None
    answers = (*map(result_of, methods), "error")
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": one.summary if one else _SEVERAL[channel],
        "messages": [_of(channel, name) for name in methods],
        "bindings": {"amqp": {"deliveryMode": 2, "ack": True, "bindingVersion": BINDING}},
        "reply": {
            "address": {"location": headers.REPLY_TO, "description": "The caller's queue; without it a cast."},
            "channel": {"$ref": "#/channels/replies"},
            "messages": [_of("replies", name) for name in answers],
        },
    }


_SEVERAL = {
    "commands": "What has an operation on the queue of queries is taken from that of commands too, in its order.",
    "any_host": "One host answers.",
    "all_hosts": "Every host answers.",
}


def _told(kind: EventType) -> dict[str, Any]:
    return _sent(kind.name, kind.name, kind.when, persistent=kind.durable)


def _sent(channel: str, message: str, summary: str, *, persistent: bool) -> dict[str, Any]:
    mandatory = channel == "dead_letters"
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [_of(channel, message)],
        "bindings": {
            "amqp": {"deliveryMode": 2 if persistent else 1, "mandatory": mandatory, "bindingVersion": BINDING}
        },
    }


def _of(channel: str, message: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}


__all__ = ["ASYNCAPI", "document", "messages", "named", "schema_of"]
