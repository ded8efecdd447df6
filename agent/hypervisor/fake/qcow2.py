"""The smallest files that are what a disk of the fake says it is.

A raw disk is a sparse file. A qcow2 disk is its header alone: every tool that asks for format and size gets
the right answer, and a hundred hosts' disks cost nothing. (The header follows QEMU's docs/interop/qcow2.txt.)
"""

from __future__ import annotations

import struct
from pathlib import Path

from agent.spec import DiskFormat

MAGIC = b"QFI\xfb"
# magic, version, backing file (offset, length), cluster bits, size, encryption, L1 (entries, offset),
# refcount table (offset, clusters), snapshots (count, offset), then of version 3: three feature sets,
# refcount order, length of the header.
HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
CLUSTER_BITS = 16
SIZE_AT = 24


def header(size: int) -> bytes:
    """A qcow2 of `size` bytes without any data, padded to a sector."""
    cluster = 1 << CLUSTER_BITS
    fields = (MAGIC, 3, 0, 0, CLUSTER_BITS, size, 0, 0, 3 * cluster, cluster, 1, 0, 0, 0, 0, 0, 4, 104)
    return HEADER.pack(*fields).ljust(512, b"\0")


def make(path: Path, form: DiskFormat, size: int) -> None:
    """Write a disk of `size` bytes, over whatever is there."""
    with path.open("wb") as file:
        if form is DiskFormat.QCOW2:
            file.write(header(size))
        else:
            file.truncate(size)


def stated_size(path: Path) -> int:
    """Bytes that the guest would see; 0 for what vanished meanwhile."""
    try:
        with path.open("rb") as file:
            begin = file.read(SIZE_AT + 8)
        if begin[:4] == MAGIC and len(begin) == SIZE_AT + 8:
            return int.from_bytes(begin[SIZE_AT:], "big")
        return path.stat().st_size
    except FileNotFoundError:
        return 0
