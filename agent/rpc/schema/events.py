"""Events: CloudEvents 1.0 in JSON, on the exchange `compute.events`."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from agent import spec
from agent.rpc.schema.base import UUID
from agent.rpc.schema.results import Result

POWER_STATE_CODES = {state.value: state.code for state in spec.PowerState}
"""nova's numbers for its words; `unknown` is ours."""


class CloudEvent(Result):
    """One event. Durable ones have `stream` and `sequence`; a repeat has the same pair."""

    specversion: str = "1.0"
    id: str
    source: str
    """`/compute/<host>`"""
    type: str
    """`compute.instance.power_state`, `compute.instance.<method>.start|end|error`, ..."""
    subject: str | None = None
    """The instance's uuid."""
    time: AwareDatetime
    datacontenttype: str = "application/json"
    stream: UUID | None = None
    """Made with the journal; another one means that the host lost its journal."""
    sequence: str | None = None
    """Zero-padded, without a gap within a stream."""
    data: dict[str, Any] = Field(default_factory=dict)


class PowerState(Result):
    """`data` of `compute.instance.power_state`."""

    old: str
    new: str
    old_code: int
    new_code: int
    reason: str
    generation: int
    request_id: str | None = None
    """Of the operation that caused it; null when the guest or somebody else did."""
    observed: str = "live"
    """`live`: seen as it happened; `resync`: found after a gap, so `time` is when it was noticed."""
