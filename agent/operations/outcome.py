"""How an operation's end is said: in its answer, in its event, in the journal's status."""

from __future__ import annotations

import uuid as uuids
from typing import Any

import structlog

from agent.errors import AgentError, Cancelled, Internal, OperationStuck, TimedOut
from agent.journal.records import NewEvent, OperationRecord, Status

log = structlog.get_logger(__name__)

STATUS_BY_ERROR: dict[type[AgentError], Status] = {
    Cancelled: Status.CANCELLED,
    TimedOut: Status.UNKNOWN,
    OperationStuck: Status.STUCK,
}
"""How an operation that ended in this error is kept; any other error is `failed`."""


def event(record: OperationRecord, ending: str, data: dict[str, Any]) -> NewEvent:
    """`compute.instance.<method>.<ending>`, with who asked."""
    caller = record.caller.model_dump(exclude_none=True)
    return NewEvent(
        type=f"compute.instance.{record.method}.{ending}",
        subject=record.instance_uuid,
        data={**data, **caller, "operation_id": str(record.id)},
    )


def error_body(error: AgentError) -> dict[str, Any]:
    """The `error` of an answer."""
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "details": error.details,
        "incident": error.incident,
    }


def bug() -> Internal:
    """An error for the exception being handled; the log has its traceback under the incident's number."""
    incident = uuids.uuid4().hex[:12]
    log.exception("bug", incident=incident)
    return Internal(f"a bug of the agent; report incident {incident}", incident=incident)
