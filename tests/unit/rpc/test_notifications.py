"""An event as oslo's notifier would send it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from agent.names import Names
from agent.rpc.notifications import notification
from agent.rpc.schema.events import CloudEvent

STREAM = UUID("7b1f1b0e-28a7-4a0b-9a50-2a7d3c3f0a11")
NAMES = Names(exchange="nova", host="h1")


def event(type_: str, sequence: int = 7, subject: str | None = "u1", **data: Any) -> CloudEvent:
    """At noon, as the clock of another zone has it."""
    return CloudEvent(
        id=f"{STREAM}:{sequence}",
        source="/compute/h1",
        type=type_,
        subject=subject,
        time=datetime(2030, 1, 31, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=2))),
        stream=STREAM,
        sequence=f"{sequence:020d}",
        data=data,
    )


def inner(told: CloudEvent) -> dict[str, Any]:
    document = json.loads(json.loads(notification(told, NAMES, "notifications").body)["oslo.message"])
    assert isinstance(document, dict)
    return document


def test_it_has_the_fields_of_a_notifier() -> None:
    message = inner(event("compute.instance.power_state", new="running", request_id="r", project_id="p"))
    assert UUID(message.pop("message_id")).hex == message.pop("_unique_id")
    assert message == {
        "publisher_id": "compute.h1",
        "event_type": "compute.instance.power_state",
        "priority": "INFO",
        "timestamp": "2030-01-31 12:00:00.000005",
        "payload": {
            "new": "running",
            "request_id": "r",
            "project_id": "p",
            "host": "h1",
            "instance_id": "u1",
            "instance_uuid": "u1",
            "stream": str(STREAM),
            "sequence": "00000000000000000007",
        },
        "_context_request_id": "r",
        "_context_global_request_id": None,
        "_context_user_id": None,
        "_context_project_id": "p",
    }


@pytest.mark.parametrize(
    ("type_", "queue", "priority"),
    [
        ("compute.instance.spawn.end", "notifications.info", "INFO"),
        ("compute.instance.spawn.error", "notifications.error", "ERROR"),
        ("compute.host.started", "notifications.info", "INFO"),
    ],
)
def test_the_queue_is_that_of_its_priority(type_: str, queue: str, priority: str) -> None:
    told = event(type_, subject=None)
    message = notification(told, NAMES, "notifications")
    assert (message.exchange, message.routing_key, message.mandatory) == ("nova", queue, True)
    assert inner(told)["priority"] == priority
    assert "instance_id" not in inner(told)["payload"]


def test_what_a_listener_knows_it_by_is_never_the_datas() -> None:
    ours = ("host", "stream", "sequence", "instance_id", "instance_uuid")
    told = event("t").model_copy(update={"data": dict.fromkeys(ours, "theirs")})
    assert "theirs" not in inner(told)["payload"].values()


def test_a_repeat_has_the_same_id_and_another_event_has_not() -> None:
    first, again, other = (notification(event("t", n), NAMES, "x").message_id for n in (1, 1, 2))
    assert first == again != other


def test_what_has_no_number_is_not_notified() -> None:
    with pytest.raises(ValueError, match="durable"):
        notification(event("t").model_copy(update={"sequence": None}), NAMES, "x")
