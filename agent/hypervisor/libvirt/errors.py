"""What a libvirt error means to a caller: the one table.

`connection` asks it for every libvirtError. A code that isn't listed has no meaning here: it leaves the agent as
`internal`, with an incident number, and so shows the gap in the table.

Codes: <https://libvirt.org/html/libvirt-virterror.html>. Their numbers are libvirt's ABI and never change, so
they stand here by themselves and this file needs no libvirt.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Any

from agent.errors import (
    AgentError,
    Busy,
    Conflict,
    InvalidRequest,
    NoCapacity,
    NotFound,
    OperationFailed,
    TimedOut,
    Unavailable,
    Unsupported,
)


class Code(enum.IntEnum):
    """virErrorNumber, as far as it is told apart."""

    INTERNAL_ERROR = 1
    NO_MEMORY = 2
    NO_SUPPORT = 3
    UNKNOWN_HOST = 4
    NO_CONNECT = 5
    INVALID_CONN = 6
    INVALID_ARG = 8
    OPERATION_FAILED = 9
    OS_TYPE = 16
    XML_ERROR = 27
    DOM_EXIST = 28
    OPERATION_DENIED = 29
    SYSTEM_ERROR = 38
    RPC = 39
    GNUTLS_ERROR = 40
    NO_DOMAIN = 42
    NO_NETWORK = 43
    INVALID_MAC = 44
    AUTH_FAILED = 45
    OPERATION_INVALID = 55
    INVALID_SECRET = 65
    NO_SECRET = 66
    CONFIG_UNSUPPORTED = 67
    OPERATION_TIMEOUT = 68
    HOOK_SCRIPT_FAILED = 70
    ARGUMENT_UNSUPPORTED = 74
    STORAGE_PROBE_FAILED = 75
    OPERATION_ABORTED = 78
    AUTH_CANCELLED = 79
    NO_DOMAIN_METADATA = 80
    BLOCK_COPY_ACTIVE = 83
    OPERATION_UNSUPPORTED = 84
    SSH = 85
    AGENT_UNRESPONSIVE = 86
    RESOURCE_BUSY = 87
    ACCESS_DENIED = 88
    DBUS_SERVICE = 89
    CPU_INCOMPATIBLE = 91
    XML_INVALID_SCHEMA = 92
    AUTH_UNAVAILABLE = 94
    NO_SERVER = 95
    NO_CLIENT = 96
    AGENT_UNSYNCED = 97
    LIBSSH = 98
    DEVICE_MISSING = 99


FROM_RPC = 7
FROM_REMOTE = 13

MEANING: dict[Code, type[AgentError]] = {
    Code.NO_DOMAIN: NotFound,
    Code.NO_DOMAIN_METADATA: NotFound,
    Code.DEVICE_MISSING: NotFound,
    Code.OPERATION_INVALID: Conflict,
    Code.DOM_EXIST: Conflict,
    Code.BLOCK_COPY_ACTIVE: Conflict,
    Code.RESOURCE_BUSY: Busy,
    Code.INVALID_ARG: InvalidRequest,
    Code.XML_ERROR: InvalidRequest,
    Code.XML_INVALID_SCHEMA: InvalidRequest,
    Code.INVALID_MAC: InvalidRequest,
    Code.NO_SUPPORT: Unsupported,
    Code.OS_TYPE: Unsupported,
    Code.CONFIG_UNSUPPORTED: Unsupported,
    Code.ARGUMENT_UNSUPPORTED: Unsupported,
    Code.OPERATION_UNSUPPORTED: Unsupported,
    Code.CPU_INCOMPATIBLE: Unsupported,
    Code.NO_MEMORY: NoCapacity,
    Code.OPERATION_TIMEOUT: TimedOut,
    Code.NO_CONNECT: Unavailable,
    Code.INVALID_CONN: Unavailable,
    Code.UNKNOWN_HOST: Unavailable,
    Code.RPC: Unavailable,
    Code.GNUTLS_ERROR: Unavailable,
    Code.SSH: Unavailable,
    Code.LIBSSH: Unavailable,
    Code.DBUS_SERVICE: Unavailable,
    Code.NO_SERVER: Unavailable,
    Code.NO_CLIENT: Unavailable,
    Code.AUTH_FAILED: Unavailable,
    Code.AUTH_CANCELLED: Unavailable,
    Code.AUTH_UNAVAILABLE: Unavailable,
    Code.ACCESS_DENIED: Unavailable,
    Code.OPERATION_DENIED: Unavailable,
    Code.AGENT_UNRESPONSIVE: Unavailable,
    Code.AGENT_UNSYNCED: Unavailable,
    # What libvirt says when QEMU, the kernel or a hook refused: only the message knows more.
    Code.OPERATION_FAILED: OperationFailed,
    Code.OPERATION_ABORTED: OperationFailed,
    Code.INTERNAL_ERROR: OperationFailed,
    Code.SYSTEM_ERROR: OperationFailed,
    Code.HOOK_SCRIPT_FAILED: OperationFailed,
    Code.STORAGE_PROBE_FAILED: OperationFailed,
    Code.NO_NETWORK: OperationFailed,
    Code.NO_SECRET: OperationFailed,
    Code.INVALID_SECRET: OperationFailed,
}


@dataclass(frozen=True, slots=True)
class Refinement:
    """Where a code alone says too little and libvirt offers nothing but its message."""

    pattern: re.Pattern[str]
    meaning: type[AgentError]
    details: dict[str, Any]


REFINEMENTS = (
    Refinement(re.compile(r"No more available PCI slots"), Unsupported, {"feature": "machine.hotplug_ports"}),
    Refinement(
        re.compile(r"cannot set up guest memory|Cannot allocate memory"), NoCapacity, {"resource": "memory"}
    ),
    # libvirt found the port free, and another process took it before QEMU did.
    Refinement(re.compile(r"Failed to find an available port"), Busy, {"resource": "vnc_port"}),
    Refinement(re.compile(r"No space left on device"), NoCapacity, {"resource": "disk"}),
)
REFINED = frozenset({Code.INTERNAL_ERROR, Code.OPERATION_FAILED, Code.SYSTEM_ERROR})

LOST_MESSAGES = frozenset({Code.INTERNAL_ERROR, Code.SYSTEM_ERROR, Code.RPC})


@dataclass(frozen=True, slots=True)
class Failure:
    """A libvirtError, taken apart. `lost`: its connection is dead now."""

    code: int
    origin: int  # virErrorDomain: which part of libvirt says so
    message: str
    lost: bool = False


def translate(failure: Failure, what: str) -> AgentError | None:
    """The error for whoever asked for `what` ("start of <uuid>"), or None for a code that isn't listed.

    `details.outcome` is "unknown" where the connection broke during the call: libvirt may have done it.
    """
    if is_loss(failure):
        return Unavailable(f"{what}: libvirt can't be reached: {failure.message}", details={"outcome": "unknown"})
    try:
        code = Code(failure.code)
    except ValueError:
        return None
    message = f"{what}: {failure.message}"
    if code in REFINED:
        for each in REFINEMENTS:
            if each.pattern.search(failure.message):
                return each.meaning(message, details=dict(each.details))
    return MEANING[code](message)


def is_loss(failure: Failure) -> bool:
    """Whether the connection broke, rather than the thing asked for failed."""
    return failure.lost or (failure.code in LOST_MESSAGES and failure.origin in (FROM_RPC, FROM_REMOTE))
