"""From a message's bytes to an operation's first state: what the edge and the desk do, in their order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from agent.errors import AgentError, Internal
from agent.hypervisor.domain import build
from agent.hypervisor.storage import config_drive, layout
from agent.names import Names
from agent.operations.outcome import error_body
from agent.operations.spawn import Spawn
from agent.rpc import convert, dead_letters, wire
from agent.rpc.dead_letters import Cast, Refused
from agent.rpc.desk import Call, Source
from agent.rpc.message import Properties
from agent.rpc.router import Router
from tests.xml.specs import DIRECTORY, FACTS, guest_of

MOST = 1024 * 1024
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
NAMES = Names(host="h1")
GOOD = Properties(content_type="application/json", message_id="m1")
ERRORS_AT_MOST = 64 * 1024  # bytes: what a caller is told fits into one message, whatever it sent


def take(properties: Properties, body: bytes) -> Call:
    """As far in as it goes. Raises AgentError."""
    opened = wire.opened(properties, body, max_bytes=MOST)
    request = opened.request(opened.address(NAMES.replies), NOW)
    call = Router(NAMES).route(request, Source.COMMANDS, NOW)
    if call.method.kind == "change":
        dead_letters.address(Cast(properties=properties, body=body, queue="q", method=request.method), NAMES, NOW)
        begin(call)
    return call


def begin(call: Call) -> None:
    """The state as the journal gets it; of a spawn also what is made of it without looking at the host."""
    state = convert.STATES[call.method.name](call.params)
    call.params.model_dump_json(context={"reveal": True}).encode()
    state.model_dump_json(context={"reveal": True}).encode()
    if isinstance(state, Spawn):
        config_drive.tree(state.spec, seed=b"")
        layout.layout(state.spec, DIRECTORY, direct_io=False)
        build(guest_of(state.spec), FACTS)


def outcome(properties: Properties, body: bytes) -> AgentError | Call:
    try:
        return take(properties, body)
    except AgentError as error:
        told(error)
        parked(properties, body, error)
        return error


def told(error: AgentError) -> None:
    """The rule: one of the contract's errors, which names what to mend, and is short."""
    assert not isinstance(error, Internal)
    assert len(to_json(error_body(error))) <= ERRORS_AT_MOST
    fields: list[dict[str, Any]] = error.details.get("fields", [])
    if error.code == "invalid_request":
        assert fields
    assert all(field["path"] and field["problem"] and field["mend"] for field in fields)


def parked(properties: Properties, body: bytes, error: AgentError) -> None:
    refused = Refused(properties=properties, body=body, queue="q", method=None, error=error)
    dead_letters.parked(refused, NAMES, NOW, max_bytes=MOST)
