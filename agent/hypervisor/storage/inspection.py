"""Whether an image is what it is said to be, and safe to open.

Called once, when an image enters the cache, and for qcow2 volumes. Blocking: run it in a thread.

The format that is found must be the one that was declared. Only so does a qcow2 image with a backing file
(which would show the guest any file of the host) not come in as raw and get opened as qcow2 later, or the
other way round.
"""

from __future__ import annotations

from pathlib import Path

from agent.errors import InvalidRequest
from agent.spec import DiskFormat

SECTOR = 512
"""Bytes. What is shorter holds no header, so nothing could be said of it: a cut qcow2 would look raw."""

# A raw disk with a partition table is found as "gpt" (MBR and GPT alike). That table is the guest's own:
# nobody on the host reads it, so it isn't judged here.
LOOKS = {DiskFormat.RAW: frozenset({"raw", "gpt"}), DiskFormat.QCOW2: frozenset({"qcow2"})}

DANGERS = {
    "backing_file": "it has a backing file",
    "data_file": "it keeps its data in another file",
    "unknown_features": "it uses features unknown here",
}


def inspect(path: Path, declared: DiskFormat, field: str) -> int:
    """The size in bytes of the disk that the guest would see.

    Raises InvalidRequest about `field`, OSError.
    """
    # Late: this costs 7 MB that an agent without images needn't have.
    from oslo_utils.imageutils import format_inspector

    size = path.stat().st_size
    if size < SECTOR:
        raise InvalidRequest.field(field, f"only {size} bytes: not a disk image", "send a whole image")
    try:
        found = format_inspector.detect_file_format(str(path))
    except format_inspector.ImageFormatError:
        raise InvalidRequest.field(
            field, "looks like several formats at once", f"send a plain {declared} image"
        ) from None
    name = str(found)
    if found is None or name not in LOOKS[declared]:
        raise InvalidRequest.field(field, f"declared {declared}, but it is {name}", "declare what it is")
    if declared is DiskFormat.RAW:
        return -(-size // SECTOR) * SECTOR
    try:
        found.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        dangers = ", ".join(DANGERS.get(name, name) for name in sorted(error.failures))
        raise InvalidRequest.field(field, f"unsafe: {dangers}", "flatten it with qemu-img convert") from None
    except format_inspector.ImageFormatError:
        raise InvalidRequest.field(field, "its header can't be read", "send a whole image") from None
    return int(found.virtual_size)
