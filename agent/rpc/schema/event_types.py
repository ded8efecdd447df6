"""Every type of event, with what is in its `data`: what the reference on events and the schema are made from.

A test holds the list to what a running agent really tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.rpc.schema import METHODS, events, params
from agent.rpc.schema.results import HostInfo, Result

_Data = type[Result]


@dataclass(frozen=True, slots=True)
class EventType:
    """`name` is its message's in the published schema. `type` may hold `<method>`. `subject`: the instance's uuid
    is there."""

    name: str
    type: str
    when: str
    data: _Data
    durable: bool = True
    subject: bool = True

    @property
    def pattern(self) -> str:
        """Matches the type as it is sent. Any method: later versions add some."""
        return f"^{re.escape(self.type).replace('<method>', '[a-z_]+')}$"


METHODS_WITH_EVENTS = tuple(
    name
    for name, method in METHODS.items()
    if method.kind == "change" and not issubclass(method.params, params.OperationParams)
)
"""Those that change an instance. What acts on an operation tells by that operation's own events."""

TYPES = (
    EventType(
        "power_state",
        "compute.instance.power_state",
        "A guest's power state is another than the last one told, whoever changed it.",
        events.PowerState,
    ),
    EventType(
        "method_start",
        "compute.instance.<method>.start",
        "An operation's turn has come and it was let in; nothing is done yet.",
        events.Begun,
    ),
    EventType(
        "method_end",
        "compute.instance.<method>.end",
        "An operation has succeeded, also when there was nothing to do.",
        events.Ended,
    ),
    EventType(
        "method_error",
        "compute.instance.<method>.error",
        "An operation has failed, or a cast was refused and its instance's uuid could be read.",
        events.Failed,
    ),
    EventType(
        "host_started",
        "compute.host.started",
        "The agent has started; sent before it takes commands.",
        events.Agent,
        subject=False,
    ),
    EventType(
        "host_stopping",
        "compute.host.stopping",
        "The agent stops on request, and takes no commands any more.",
        events.Agent,
        subject=False,
    ),
    EventType(
        "operation_progress",
        "compute.operation.progress",
        "An operation tells how far it is.",
        events.Progress,
        durable=False,
    ),
    EventType(
        "host_report",
        "compute.host.report",
        "Every `report_interval_s` seconds, 60 by default: the same as `get_host` answers.",
        HostInfo,
        durable=False,
        subject=False,
    ),
)
