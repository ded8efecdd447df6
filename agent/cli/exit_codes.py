"""What the command line's exit code says. The numbers are a promise: one that was given is never changed.

Where sysexits.h has a number for it, that one is taken; a class of errors without one counts up from 10.
"""

from __future__ import annotations

from agent.errors import AgentError, Internal

OK = 0
UNEXPECTED = 1
USAGE = 2
NEWER = 9
DOUBTFUL = 19
BROKEN = 20
UNROUTABLE = 68
BROKER = 76
REFUSED_LOGIN = 77
SETTINGS = 78
INTERRUPTED = 130
BROKEN_PIPE = 141

BY_CODE: dict[str, int] = {
    "invalid_request": 65,
    "unsupported": 10,
    "not_found": 11,
    "conflict": 12,
    "no_capacity": 13,
    "expired": 14,
    "cancelled": 15,
    "timed_out": 16,
    "operation_failed": 17,
    "operation_stuck": 18,
    "unavailable": 69,
    "internal": 70,
    "busy": 75,
}
"""An error's `code` to the exit code."""

MEANINGS: dict[int, str] = {
    OK: "Done.",
    UNEXPECTED: "The command line itself failed: a bug, or a file that can't be written.",
    USAGE: "Wrong usage: unknown option, missing argument, unreadable file.",
    NEWER: "An error with a code that this version doesn't know; `retryable` says what to do.",
    DOUBTFUL: "`doctor` has warnings, or couldn't check everything; nothing that it checked is broken.",
    BROKEN: "`doctor` found something broken.",
    UNROUTABLE: "Nobody listens: no agent of that name has ever declared its queue on this broker.",
    BROKER: "The broker can't be reached, or the connection was lost.",
    REFUSED_LOGIN: "The broker refuses the login, its virtual host or a right.",
    SETTINGS: "The settings are wrong.",
    INTERRUPTED: "Interrupted with ctrl-C; what was sent goes on.",
    BROKEN_PIPE: "The reader of the output went away.",
}


def exit_code(error: AgentError) -> int:
    return BY_CODE.get(code_of(error), NEWER)


def code_of(error: AgentError) -> str:
    """Its code; of one that this version has no class for, the code that the agent sent."""
    if error.code == Internal.code and not isinstance(error, Internal):
        return str(error.details.get("code", "unknown"))
    return error.code
