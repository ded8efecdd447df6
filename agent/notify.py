"""What systemd is told: ready, stopping, a status line, and that the agent is well (the watchdog).

The protocol is a datagram to the socket in $NOTIFY_SOCKET (sd_notify(3)); without that variable nothing is
sent. Kept here rather than taken from a library because it is a dozen lines and must never raise.
"""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> None:
    """Send `READY=1`, `STATUS=...` and the like; a manager that doesn't listen is no error."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    # Not blocking: a manager that doesn't read mustn't hold up the event loop.
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_UNIX, kind) as sender:
        try:
            sender.connect(address)
            sender.send("\n".join(lines).encode())
        except OSError:
            return


def watchdog_interval() -> float | None:
    """Seconds between two signs of life, half of what systemd allows; None when it doesn't watch."""
    allowed = os.environ.get("WATCHDOG_USEC")
    pid = os.environ.get("WATCHDOG_PID")
    if not allowed or (pid and int(pid) != os.getpid()):
        return None
    return int(allowed) / 2_000_000
