"""Every message of the contract, by name: what the published schema is made of.

    spawn            the request, for each method
    spawn.result     its answer, for each method
    error            the answer that says why not
    power_state      an event, for each type
    parked           a cast that was refused or failed

A message's model is its whole body: for a request the envelope too, for an event the CloudEvent. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, create_model
from pydantic.fields import FieldInfo

from agent.docstrings import meaning
from agent.errors import BY_CODE
from agent.rpc.schema import METHODS, VERSION, Method
from agent.rpc.schema.asyncapi import headers
from agent.rpc.schema.asyncapi.dialect import Schema, pascal
from agent.rpc.schema.envelope import CONTENT_TYPE, Body
from agent.rpc.schema.event_types import TYPES, EventType
from agent.rpc.schema.events import CONTENT_TYPE as CLOUD_EVENTS
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.results import Error, Result

Kind = Literal["request", "result", "error", "event", "parked"]


@dataclass(frozen=True, slots=True)
class Published:
    """One message. `properties`: AMQP's, in words; `headers`: their JSON schema, when it has some; `type`: an
    event's; `facts`: more for machines, under names that begin with `x-`."""

    name: str
    kind: Kind
    summary: str
    body: type[BaseModel]
    description: str = ""
    content_type: str = CONTENT_TYPE
    properties: Mapping[str, str] = field(default_factory=dict)
    headers: Schema = field(default_factory=dict)
    type: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@cache
def messages() -> dict[str, Published]:
    """By name, in the order of the reference."""
    return {message.name: message for message in _all()}


def named(name: str) -> Published | None:
    """The message of that name; an event also by its type as it is sent, such as `compute.instance.spawn.end`."""
    found = messages().get(name)
    if found is not None:
        return found
    event = next((kind for kind in TYPES if name == kind.type or re.search(kind.pattern, name)), None)
    return messages()[event.name] if event else None


def result_of(method: str) -> str:
    """The name of its answer's message."""
    return f"{method}.result"


def _all() -> Iterator[Published]:
    yield from map(_request, METHODS.values())
    yield from map(_result, METHODS.values())
    yield _error()
    yield from map(_event, TYPES)
    yield _parked()


def _request(method: Method) -> Published:
    summary, _, more = _text(method.params).partition(". ")
    body = _model(
        f"{pascal(method.name)}Request",
        Body,
        f"Body of a request for `{method.name}`.",
        method=(Literal[method.name], Field()),
        version=(Literal[_versions()], Field(_OLDEST, description=meaning(Body, "version"))),
        args=(method.params, Field(description=meaning(Body, "args"), **_default(method.params))),
    )
    return Published(
        method.name,
        "request",
        summary.removesuffix(".") + ".",
        body,
        more,
        properties=headers.REQUEST_PROPERTIES,
        headers=headers.REQUEST,
    )


def _result(method: Method) -> Published:
    body = _model(
        f"{pascal(method.name)}Result",
        Result,
        f"Body of the answer to `{method.name}` when it is done.",
        result=(method.result, Field()),
    )
    return Published(
        result_of(method.name),
        "result",
        f"What `{method.name}` answers when it is done.",
        body,
        properties=headers.ANSWER_PROPERTIES,
    )


def _error() -> Published:
    body = _model("ErrorAnswer", Result, "Body of the answer to what isn't done.", error=(Error, Field()))
    codes = {code: {"retryable": kind.retryable, "meaning": _text(kind)} for code, kind in BY_CODE.items()}
    told = (
        f"* `{code}` ({'' if fact['retryable'] else 'not '}retryable): {fact['meaning']}"
        for code, fact in codes.items()
    )
    return Published(
        "error",
        "error",
        "What any method answers when it isn't done.",
        body,
        "A client treats a code that it doesn't know by `retryable`: later versions add some.\n\n"
        + "\n".join(told),
        properties=headers.ANSWER_PROPERTIES,
        facts={"x-error-codes": codes},
    )


def _event(kind: EventType) -> Published:
    given = {"type": (_type(kind), Field()), "data": (kind.data, Field())}
    if kind.subject:
        given["subject"] = (UUID, Field(description=meaning(CloudEvent, "subject")))
    if kind.durable:
        given["stream"] = (UUID, Field(description=meaning(CloudEvent, "stream")))
        given["sequence"] = (_Sequence, Field(description=meaning(CloudEvent, "sequence")))
    return Published(
        kind.name,
        "event",
        kind.when,
        _model(f"{pascal(kind.name)}Event", CloudEvent, kind.when, **given),
        _DURABLE if kind.durable else _EPHEMERAL,
        content_type=CLOUD_EVENTS,
        properties=headers.EVENT_PROPERTIES,
        type=kind.type,
    )


def _parked() -> Published:
    return Published(
        "parked",
        "parked",
        "A cast that was refused, or that was accepted and failed.",
        _model("ParkedRequest", _Anything, "The request as it came, without its secrets."),
        "Empty when the request couldn't be read (`x-body: omitted`).",
        properties=headers.PARKED_PROPERTIES,
        headers=headers.PARKED,
    )


_DURABLE = "Durable: numbered, and sent until the broker has confirmed it."
_EPHEMERAL = "Ephemeral: without `stream` and `sequence`, and dropped when it can't be sent at once."
_OLDEST = Body.model_fields["version"].default
_Sequence = Annotated[str, StringConstraints(pattern=r"^[0-9]{20}$")]


class _Anything(BaseModel, extra="allow"):
    """An object of any fields."""


def _model(name: str, base: type[BaseModel], doc: str, **fields: tuple[Any, FieldInfo]) -> type[BaseModel]:
    definitions: Any = fields
    made: type[BaseModel] = create_model(name, __base__=base, __doc__=doc, **definitions)
    return made


def _default(params: type[BaseModel]) -> dict[str, Any]:
    """Arguments of which none is needed may be left out."""
    needed = any(field.is_required() for field in params.model_fields.values())
    return {} if needed else {"default_factory": params}


def _type(kind: EventType) -> Any:
    """A type that names its method is a pattern: later versions add methods."""
    if "<" in kind.type:
        return Annotated[str, StringConstraints(pattern=kind.pattern)]
    return Literal[kind.type]


def _versions() -> tuple[str, ...]:
    """Those that an agent of this version takes."""
    major, _, minor = VERSION.partition(".")
    return tuple(f"{major}.{number}" for number in range(int(minor) + 1))


def _text(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())
