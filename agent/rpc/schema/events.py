"""Events: CloudEvents 1.0 in JSON, on the exchange `compute.events`."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from agent import spec
from agent.rpc.schema.base import UUID
from agent.rpc.schema.results import Changed, Error, Result

CONTENT_TYPE = "application/cloudevents+json"

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


class Caller(Result):
    """Who asked, in the `data` of an operation's events."""

    request_id: str | None = None
    """Of the request; the agent makes one when the caller gave none."""
    global_request_id: str | None = None
    """When the caller gave one."""
    user_id: str | None = None
    """When the caller gave one."""
    project_id: str | None = None
    """When the caller gave one."""


class Begun(Caller):
    """`data` of `compute.instance.<method>.start`."""

    generation: int
    """The instance's, when the event was written."""
    operation_id: UUID


class Ended(Changed, Caller):
    """`data` of `compute.instance.<method>.end`: the operation's result, and who asked."""


class Failed(Caller):
    """`data` of `compute.instance.<method>.error`."""

    error: Error
    """As in an answer."""
    generation: int
    """The instance's, when the event was written."""
    operation_id: UUID | None = None
    """Not there when it was refused before it became an operation."""


class Agent(Result):
    """`data` of `compute.host.started` and `compute.host.stopping`."""

    host: str
    """Its name."""
    agent_version: str


class Progress(Result):
    """`data` of `compute.operation.progress`."""

    operation_id: UUID
    method: str
    request_id: str | None = None
    """Of the request."""
    doing: str
    """What it is doing, in words."""
    progress: float
    """0.0 to 1.0"""
