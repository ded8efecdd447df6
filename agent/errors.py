"""Errors a caller can act on.

One class per thing the caller does next, not per thing that went wrong here. `code` and `retryable`
are the contract; a client treats a code it doesn't know by `retryable`. Whatever isn't an AgentError
is a bug and leaves the agent as `internal` with an incident number.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AgentError(Exception):
    """Base of all errors that may cross the wire.

    `details` is JSON: field paths for `invalid_request`, the missing feature for `unsupported`, and so on.
    It must never hold a secret.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, incident: str | None = None):
        super().__init__(message)
        self.message = message
        self.details = details or {}
        self.incident = incident


class InvalidRequest(AgentError):
    """The request can never succeed as sent: mend it. `details.fields` lists path, problem and mend."""

    code = "invalid_request"

    @classmethod
    def field(cls, path: str, problem: str, mend: str) -> InvalidRequest:
        """An error about one field: where it is, what is wrong, what would be right."""
        fields = [{"path": path, "problem": problem, "mend": mend}]
        return cls(f"{path}: {problem}; {mend}", details={"fields": fields})


class Unsupported(AgentError):
    """This host can't do it: take another host or drop the feature named in `details.feature`."""

    code = "unsupported"


class NotFound(AgentError):
    """The thing isn't on this host: forget it, or resync."""

    code = "not_found"


class Conflict(AgentError):
    """The present state doesn't allow it: read the state again."""

    code = "conflict"


class Busy(AgentError):
    """Too much is waiting already: come back later, to the same host."""

    code = "busy"
    retryable = True


class NoCapacity(AgentError):
    """The host has no room: take another host."""

    code = "no_capacity"


class Unavailable(AgentError):
    """libvirt, storage or network is down: wait."""

    code = "unavailable"
    retryable = True


class Expired(AgentError):
    """The deadline had passed before anything was begun."""

    code = "expired"


class Cancelled(AgentError):
    """Cancelled on request; all was undone."""

    code = "cancelled"


class TimedOut(AgentError):
    """The outcome is unknown: read the state, then decide."""

    code = "timed_out"


class OperationFailed(AgentError):
    """A step failed and all was undone: it may be tried elsewhere."""

    code = "operation_failed"


class OperationStuck(AgentError):
    """An undo failed: call a person."""

    code = "operation_stuck"


class Internal(AgentError):
    """A bug in the agent: report the incident number."""

    code = "internal"


BY_CODE: dict[str, type[AgentError]] = {
    cls.code: cls
    for cls in (
        InvalidRequest,
        Unsupported,
        NotFound,
        Conflict,
        Busy,
        NoCapacity,
        Unavailable,
        Expired,
        Cancelled,
        TimedOut,
        OperationFailed,
        OperationStuck,
        Internal,
    )
}
