"""Which disk the guest boots from: one rule, for the disks made here and for volumes.

Pure. `storage.layout` uses it for local disks, the operations for volumes, so that both say the same of one
spec.

    some disk has a boot_index      what was asked holds; the others don't boot
    none has                        the first image or volume, in the spec's order, gets 1
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.spec import AnyDisk

BOOTABLE = frozenset({"image", "volume"})


def boot_indexes(disks: Sequence[AnyDisk]) -> dict[str, int]:
    """Boot index by disk id; a disk that isn't in it doesn't boot."""
    asked = {disk.id: disk.boot_index for disk in disks if disk.boot_index is not None}
    if asked:
        return asked
    first = next((disk.id for disk in disks if disk.kind in BOOTABLE), None)
    return {} if first is None else {first: 1}
