"""Names for disks (`vda`) and taps. Pure.

A target is what libvirt calls the drive; the guest may call it something else, so nothing is ever found by
it. It still has to be unique within the guest, and for SCSI it says which controller the disk hangs from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import count

from agent.spec import DiskBus, PluggedDisk

PREFIX: dict[DiskBus, str] = {
    DiskBus.VIRTIO: "vd",
    DiskBus.SCSI: "sd",
    DiskBus.SATA: "sd",
    DiskBus.IDE: "hd",
}
IDE_DISKS = 4  # two channels with two disks each
SCSI_DISKS = 15  # on one controller: unit 7 is the controller itself
_LETTERS = 26
_NAME = re.compile(r"(?:/dev/)?([vsh]d)([a-z]+)")


def target_name(bus: DiskBus, index: int) -> str:
    """vda, vdb, ... vdz, vdaa: the `index`-th drive (from 0) on `bus`."""
    letters, rest = "", index + 1
    while rest:
        rest, letter = divmod(rest - 1, _LETTERS)
        letters = chr(ord("a") + letter) + letters
    return PREFIX[bus] + letters


def target_index(target: str) -> int | None:
    """The number behind a name such as `vdb`, from 0; None for what isn't one."""
    match = _NAME.fullmatch(target)
    if match is None:
        return None
    number = 0
    for letter in match[2]:
        number = number * _LETTERS + ord(letter) - ord("a") + 1
    return number - 1


def next_target(taken: Collection[str], bus: DiskBus) -> str:
    """The first name on `bus` that isn't in `taken`."""
    return next(name for name in (target_name(bus, index) for index in count()) if name not in taken)


def choose_target(disk: PluggedDisk, taken: Collection[str]) -> str:
    """The name a disk asked for, if it can have it; else the first free one."""
    hint = _hint(disk)
    return hint if hint is not None and hint not in taken else next_target(taken, disk.bus)


def assign_targets(disks: Iterable[PluggedDisk]) -> tuple[str, ...]:
    """A name for each disk. Who asked for one is served first."""
    disks = tuple(disks)
    names: dict[int, str] = {}
    for place in sorted(range(len(disks)), key=lambda place: _hint(disks[place]) is None):
        names[place] = choose_target(disks[place], names.values())
    return tuple(names[place] for place in range(len(disks)))


def scsi_controller(target: str) -> int:
    """The index of the controller that libvirt hangs a SCSI disk of this name from."""
    return (target_index(target) or 0) // SCSI_DISKS


def tap_name(port_id: str) -> str:
    """The host's device behind an interface; at most 15 characters, known before it is made."""
    return "tap" + port_id[:11]


def _hint(disk: PluggedDisk) -> str | None:
    """The name asked for. One of another bus, or past `z`, isn't worth the controllers it would take."""
    match = _NAME.fullmatch(disk.target or "")
    limit = IDE_DISKS if disk.bus is DiskBus.IDE else _LETTERS
    if match is None or match[1] != PREFIX[disk.bus] or (target_index(match[0]) or 0) >= limit:
        return None
    return match[1] + match[2]
