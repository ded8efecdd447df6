"""Whether the file system has room for what was declared.

The host keeps a reserve that is never given to disks. A raw disk counts in full, though its file is sparse;
a qcow2 disk counts as nothing, because what it will grow to is the scheduler's bet, not ours.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import NoCapacity

MIB = 1024 * 1024


def require_room(directory: Path, need: int, reserve: int) -> None:
    """Raises NoCapacity unless `need` bytes can be had above the reserve (bytes). Blocking."""
    stat = os.statvfs(directory)
    free = stat.f_bavail * stat.f_frsize
    if free - need < reserve:
        raise NoCapacity(
            f"{need // MIB} MiB of disk needed, {max(0, free - reserve) // MIB} MiB free above the reserve",
            details={
                "resource": "disk",
                "needed_mb": need // MIB,
                "free_mb": free // MIB,
                "reserve_mb": reserve // MIB,
            },
        )


def direct_io_works(path: Path) -> bool:
    """Whether `path`, a file or a device, can be opened past the page cache; False when that is unknown.

    Blocking. Some file systems refuse O_DIRECT, and QEMU with cache=none wouldn't start there.
    """
    return _opens(path, os.O_RDONLY)


def direct_io_works_in(directory: Path) -> bool:
    """The same for new files in a directory. Blocking."""
    probe = directory / ".direct-io"
    try:
        return _opens(probe, os.O_RDWR | os.O_CREAT)
    finally:
        probe.unlink(missing_ok=True)


def _opens(path: Path, flags: int) -> bool:
    try:
        os.close(os.open(path, flags | os.O_DIRECT | os.O_NONBLOCK, 0o600))
    except OSError:
        return False
    return True
