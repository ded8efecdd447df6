"""Whatever stands in an oslo.messaging body, whoever sent it can be answered or can't; nothing else comes out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from agent.errors import AgentError
from agent.journal.records import Address, Answer
from agent.operations.outcome import error_body
from agent.rpc import wire
from agent.rpc.message import Outgoing
from tests.fuzz.mutations import documents, wild_documents
from tests.fuzz.way_in import GOOD, MOST, NAMES, outcome

SEEDS = [document for document in documents("requests") if "oslo.message" in document or "_unique_id" in document]
INNER = [json.loads(seed["oslo.message"]) if "oslo.message" in seed else seed for seed in SEEDS]


@given(wild_documents(INNER))
def test_a_spoiled_inner_object_is_taken_or_refused_and_answered(inner: dict[str, Any]) -> None:
    answered(json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(inner)}).encode())


@given(wild_documents(SEEDS))
def test_a_spoiled_envelope_is_taken_or_refused_and_answered(document: dict[str, Any]) -> None:
    answered(json.dumps(document).encode())


def answered(body: bytes) -> None:
    made = outcome(GOOD, body)
    opened = wire.opened(GOOD, body, max_bytes=MOST)
    try:
        address = opened.address(NAMES.replies)
    except AgentError:
        return
    if address is None:
        return
    # As the journal keeps it.
    address = Address.model_validate_json(address.model_dump_json())
    if isinstance(made, AgentError):
        publishable(wire.refuse(address, made, "m1"))
        publishable(wire.encode(address, Answer(error=error_body(made)), "m1"))
    else:
        publishable(wire.encode(address, Answer(result={}), "m1"))
    if wire.monitor(address) is not None:
        publishable(wire.heartbeat(address, "m1"))


def publishable(message: Outgoing) -> None:
    """What the broker's library can write; and what the other side reads."""
    assert len(message.routing_key.encode()) <= 255
    assert message.expiration is None or message.expiration > 0
    outer = json.loads(message.body)
    assert isinstance(json.loads(outer["oslo.message"]) if "oslo.message" in outer else outer, dict)
