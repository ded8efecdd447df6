"""Finding taps that carry our tag, and removing one that was left behind.

libvirt makes a guest's tap and the kernel removes it with the guest's process. Only a *persistent* tap can
stay, and then no new guest could have its name.

Removing goes by the tap's own door instead of `ip link del`: we attach to it as its user would, say that it
need not persist, and let go. The kernel refuses the first step with EBUSY while a guest has it, so a tap in
use can't be taken away, however late the guest shows up. Blocking, but only for microseconds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from agent.hypervisor.owners import tagged

# From linux/if_tun.h.
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TAP = 0x0002
IFF_PERSIST = 0x0800
IFF_NOFILTER = 0x1000
IN_USE = frozenset({errno.EBUSY})

NET = Path("/sys/class/net")
TUN = Path("/dev/net/tun")


def remove_tap(name: str) -> None:
    """Remove a tap that nobody uses; one that is absent, in use, or not a tap is left alone.

    Raises OSError: PermissionError when the agent may not.
    """
    flags = _flags(name)
    if flags is None:
        return
    fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(fd, TUNSETPERSIST, 0)
    except OSError as error:
        if error.errno not in IN_USE:
            raise
    finally:
        os.close(fd)


def _flags(name: str) -> int | None:
    """How the tap must be attached to: as it was made. None when there is no such tap."""
    try:
        flags = int((NET / name / "tun_flags").read_text(), 16)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return flags & ~(IFF_PERSIST | IFF_NOFILTER) if flags & IFF_TAP else None


def tagged_taps(host: str) -> Iterator[tuple[str, UUID]]:
    """The taps of this host's agent by their alias, and the instance that each is of."""
    for device in sorted(NET.iterdir()):
        if (device / "tun_flags").exists() and (uuid := tagged(_alias(device), host)) is not None:
            yield device.name, uuid


def _alias(device: Path) -> str:
    try:
        return (device / "ifalias").read_text()
    except OSError:  # it has gone meanwhile
        return ""
