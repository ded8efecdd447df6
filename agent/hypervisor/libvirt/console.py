"""The console log: virtlogd writes it, the agent reads its tail.

virtlogd runs as root and makes new files readable by root only, but appends to a file that is there already
and leaves its owner alone. So the agent makes the file before the guest starts and can read it afterwards.

When the log is full (`max_size` in virtlogd.conf) virtlogd renames it to `.0`, `.0` to `.1` and so on, and
makes a new one, which is root's again. What can't be read is passed over; at the next start the agent makes a
file of its own once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from agent.errors import Unsupported
from agent.hypervisor import readback
from agent.hypervisor.libvirt.api import Domain, Xml
from agent.hypervisor.libvirt.views import Here, ours

LOG_MODE = 0o600


def log_path(domain: Domain) -> Path | None:
    """Where its console is logged to, if it is."""
    path = readback.console_log(domain.XMLDesc(Xml.LIVE))
    return Path(path) if path else None


def prepare(path: Path) -> None:
    """Make the log the agent's own; one that can't be read steps aside as virtlogd would have it."""
    if path.exists() and not os.access(path, os.R_OK):
        path.rename(path.with_name(path.name + ".0"))
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, LOG_MODE))


def output(here: Here, uuid: UUID, tail_bytes: int) -> bytes:
    """The last bytes, across virtlogd's rotated files. Raises NotFound; Unsupported when it isn't logged."""
    path = log_path(ours(here, uuid))
    if path is None:
        raise Unsupported(f"the console of instance {uuid} isn't logged", details={"feature": "console.log"})
    return tail(path, tail_bytes)


def tail(path: Path, size: int) -> bytes:
    """The last `size` bytes of a log and its rotated files. Raises Unsupported when none can be read."""
    parts: list[bytes] = []
    denied = 0
    for file in _newest_first(path):
        try:
            parts.append(_last(file, size - sum(map(len, parts))))
        except PermissionError:
            denied += 1
        if sum(map(len, parts)) >= size:
            break
    if denied and not any(parts):
        raise Unsupported(
            f"{path} belongs to another user since virtlogd began a new file: start the guest again, or set"
            " max_size = 0 in virtlogd.conf",
            details={"feature": "console.log"},
        )
    return b"".join(reversed(parts))


def _newest_first(path: Path) -> Iterator[Path]:
    yield path
    number = 0
    while (rotated := path.with_name(f"{path.name}.{number}")).exists():
        yield rotated
        number += 1


def _last(file: Path, size: int) -> bytes:
    try:
        with file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - size))
            return log.read(size)
    except FileNotFoundError:  # the guest never ran
        return b""
