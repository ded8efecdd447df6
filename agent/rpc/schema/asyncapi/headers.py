"""What of a message isn't its body: headers as JSON schema, and the AMQP properties in words.

AsyncAPI's binding for AMQP has no place for properties; they stand under `x-properties` of a message's binding.
"""

from __future__ import annotations

from agent.names import SharedNames
from agent.rpc.schema.asyncapi.dialect import Schema
from agent.rpc.schema.envelope import CONTENT_TYPE, DEADLINE, LONGEST_IDENTITY, REPLY_EXCHANGE, Parked
from agent.rpc.schema.events import CONTENT_TYPE as CLOUD_EVENTS

CORRELATION_ID = "$message.header#/correlation_id"
REPLY_TO = "$message.header#/reply_to"

REQUEST: Schema = {
    "type": "object",
    "properties": {
        DEADLINE: {
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339 with an offset: past it nothing is begun.",
        },
        REPLY_EXCHANGE: {
            "type": "string",
            "enum": [SharedNames().replies],
            "description": "The exchange that the answer goes through; the default exchange when it isn't there.",
        },
    },
}

PARKED: Schema = {
    "type": "object",
    "properties": {
        Parked.CODE: {"type": "string", "description": "Why it was refused: the error's code."},
        Parked.MESSAGE: {"type": "string", "description": "The error's message."},
        Parked.QUEUE: {"type": "string", "description": "The queue that it came from."},
        Parked.METHOD: {"type": "string", "description": "Its method, when that could be read."},
        Parked.HOST: {"type": "string", "description": "The agent that refused it."},
        Parked.TIME: {"type": "string", "format": "date-time", "description": "When."},
        Parked.USER: {"type": "string", "description": "The sender's `user_id`, when the message said so."},
        Parked.APP: {"type": "string", "description": "The sender's `app_id`, when the message said so."},
        Parked.BODY: {
            "type": "string",
            "enum": ["redacted", "omitted"],
            "description": "`redacted`: secrets are replaced by a placeholder; `omitted`: it couldn't be read.",
        },
        Parked.REMOVED: {"type": "string", "description": "Paths of what was replaced, comma-separated."},
        Parked.LENGTH: {"type": "integer", "description": "Bytes of the body as it came."},
        Parked.SHA256: {"type": "string", "description": "Of an omitted body."},
    },
    "required": [Parked.CODE, Parked.MESSAGE, Parked.QUEUE, Parked.HOST, Parked.TIME, Parked.BODY, Parked.LENGTH],
}

REQUEST_PROPERTIES = {
    "content_type": f"`{CONTENT_TYPE}`",
    "content_encoding": "absent or `utf-8`",
    "message_id": f"identity of a changing request, at most {LONGEST_IDENTITY} characters, unless `args` has an "
    "`idempotency_key`",
    "reply_to": "the queue for the answer; without it the request is a cast, and nobody is answered",
    "correlation_id": "with `reply_to`; the answer has the same",
    "expiration": "milliseconds, counted from `timestamp`: past it nothing is begun",
    "user_id": "scope of the identity; the broker checks it",
    "app_id": "scope of the identity",
    "delivery_mode": "2, or a restart of the broker may lose the request",
}
ANSWER_PROPERTIES = {
    "content_type": f"`{CONTENT_TYPE}`",
    "correlation_id": "the request's",
    "message_id": "the same when the answer is sent again",
}
EVENT_PROPERTIES = {
    "content_type": f"`{CLOUD_EVENTS}`",
    "message_id": "the event's `id`",
}
PARKED_PROPERTIES = {
    "content_type": f"`{CONTENT_TYPE}`",
    "message_id": "the request's, when it had one",
}
