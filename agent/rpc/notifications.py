"""Events once more, as notifications of oslo.messaging: for listeners such as Ceilometer's. Pure.

    compute.instance.power_state         -> notifications.info
    compute.instance.<method>.error      -> notifications.error      priority ERROR, as nova has it

A copy of the durable event, out of the same outbox: an event counts as sent when both are confirmed. Its
`message_id` is made of the event's stream and sequence, so a listener knows a repeat.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any, Final
from uuid import uuid5

from agent.names import Names
from agent.rpc.message import Outgoing
from agent.rpc.schema.events import CloudEvent
from agent.rpc.wire import oslo

INFO: Final = "info"
ERROR: Final = "error"
PRIORITIES = (INFO, ERROR)
"""Those that are used; there is a queue for each."""

_CONTEXT = ("request_id", "global_request_id", "user_id", "project_id")


def queue(topic: str, priority: str) -> str:
    """The queue, and its binding key on the exchange."""
    return f"{topic}.{priority}"


def notification(event: CloudEvent, names: Names, topic: str) -> Outgoing:
    """A durable event as oslo's notifier would send it. Raises ValueError for one without a sequence."""
    if event.stream is None or event.sequence is None:
        raise ValueError("only durable events are notified")
    priority = ERROR if event.type.endswith(f".{ERROR}") else INFO
    message_id = uuid5(event.stream, event.sequence)
    inner = {
        "message_id": str(message_id),
        # As nova's own: the service and its host.
        "publisher_id": f"compute.{names.host}",
        "event_type": event.type,
        "priority": priority.upper(),
        "payload": _payload(event, names.host),
        "timestamp": event.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "_unique_id": message_id.hex,
        **{f"_context_{key}": event.data.get(key) for key in _CONTEXT},
    }
    return Outgoing(
        exchange=names.exchange,
        routing_key=queue(topic, priority),
        body=oslo.enveloped(inner),
        message_id=str(message_id),
    )


def _payload(event: CloudEvent, host: str) -> dict[str, Any]:
    """The event's data, and what is beside it in the event itself. `instance_id` is what nova calls it."""
    about = {"host": host, "stream": str(event.stream), "sequence": event.sequence}
    instance = {} if event.subject is None else {"instance_id": event.subject, "instance_uuid": event.subject}
    return {**event.data, **about, **instance}
