"""Every type of event, with what is in its `data`: the reference on events is made from this.

A test holds the list to what a running agent really tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.rpc.schema import METHODS, params
from agent.rpc.schema.events import PowerState
from agent.rpc.schema.results import Changed, HostInfo
from agent.rpc.schema.words import rows

_CALLER = {
    "request_id": "of the request; the agent makes one when the caller gave none",
    "global_request_id": "when the caller gave one",
    "user_id": "when the caller gave one",
    "project_id": "when the caller gave one",
}
_OPERATION = {"operation_id": "of the operation"}
_GENERATION = {"generation": "the instance's, when the event was written"}


@dataclass(frozen=True, slots=True)
class EventType:
    """`type` may hold `<method>`. `data`: field to meaning. `subject`: the instance's uuid is there."""

    type: str
    when: str
    data: Mapping[str, str]
    durable: bool = True
    subject: bool = True


def _fields_of(*models: type[Changed | HostInfo | PowerState]) -> dict[str, str]:
    return {row.name: row.meaning for model in models for row in rows(model)}


METHODS_WITH_EVENTS = tuple(
    name
    for name, method in METHODS.items()
    if method.kind == "change" and not issubclass(method.params, params.OperationParams)
)
"""Those that change an instance. What acts on an operation tells by that operation's own events."""

TYPES = (
    EventType(
        "compute.instance.power_state",
        "A guest's power state is another than the last one told, whoever changed it.",
        _fields_of(PowerState),
    ),
    EventType(
        "compute.instance.<method>.start",
        "An operation's turn has come and it was let in; nothing is done yet.",
        _GENERATION | _CALLER | _OPERATION,
    ),
    EventType(
        "compute.instance.<method>.end",
        "An operation has succeeded, also when there was nothing to do.",
        _fields_of(Changed) | _CALLER,
    ),
    EventType(
        "compute.instance.<method>.error",
        "An operation has failed, or a cast was refused and its instance's uuid could be read.",
        {"error": "code, message, retryable, details, incident: as in an answer"}
        | _GENERATION
        | _CALLER
        | {"operation_id": "of the operation; not there when it was refused before it became one"},
    ),
    EventType(
        "compute.host.started",
        "The agent has started; sent before it takes commands.",
        {"host": "its name", "agent_version": "its version"},
        subject=False,
    ),
    EventType(
        "compute.host.stopping",
        "The agent stops on request, and takes no commands any more.",
        {"host": "its name", "agent_version": "its version"},
        subject=False,
    ),
    EventType(
        "compute.operation.progress",
        "An operation tells how far it is.",
        {
            **_OPERATION,
            "method": "its method",
            "request_id": "of the request",
            "doing": "what it is doing, in words",
            "progress": "0.0 to 1.0",
        },
        durable=False,
    ),
    EventType(
        "compute.host.report",
        "Every `report_interval_s` seconds, 60 by default: the same as `get_host` answers.",
        _fields_of(HostInfo),
        durable=False,
        subject=False,
    ),
)
