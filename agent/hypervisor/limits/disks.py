"""What libvirt and QEMU can't do with disks, said before anything is made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agent.hypervisor.limits.problem import Problem
from agent.hypervisor.targets import IDE_DISKS
from agent.spec import (
    AnyDisk,
    Disk,
    DiskBus,
    FileVolume,
    InstanceSpec,
    LocalVolume,
    NbdVolume,
    PluggedDisk,
    VolumeConnection,
    VolumeDisk,
)

# libvirt drops an alias with any other character without a word, and the device could not be found again.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
ID_MEND = "use 1 to 64 letters, digits, - and _"
SERIAL_LENGTH = 36  # QEMU refuses more on SCSI; a UUID fits
_SERIAL = re.compile(r"[A-Za-z0-9_.+ -]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9.-]+")
_EXPORT_BYTES = 4096  # the NBD protocol's limit for a string


class _Drive(NamedTuple):
    """What the bus rules look at."""

    bus: DiskBus
    machine: str
    cdrom: bool
    readonly: bool


_BUS_RULES: tuple[tuple[Callable[[_Drive], bool], str, str], ...] = (
    (
        lambda drive: drive.bus is DiskBus.IDE and drive.machine != "pc",
        "a q35 machine has no IDE",
        "use virtio, scsi or sata, or the machine type pc",
    ),
    (
        lambda drive: drive.bus in (DiskBus.IDE, DiskBus.SATA) and drive.readonly and not drive.cdrom,
        "an IDE or SATA disk can't be read-only",
        "use virtio or scsi",
    ),
    (
        lambda drive: drive.bus is DiskBus.VIRTIO and drive.cdrom,
        "a CD-ROM can't be on the virtio bus",
        "use scsi, sata or ide",
    ),
)


def disk_problems(spec: InstanceSpec) -> Iterator[Problem]:
    """Problems of all disks of `spec`."""
    machine = spec.machine.type
    for place, disk in enumerate(spec.disks):
        path = f"instance.disks[{place}]"
        readonly = isinstance(disk, VolumeDisk) and disk.connection.access_mode == "ro"
        yield from _bus_problems(_Drive(disk.bus, machine, cdrom=False, readonly=readonly), path)
        yield from _name_problems(disk.id, disk.serial, path)
        if isinstance(disk, VolumeDisk):
            yield from connection_problems(disk.connection, f"{path}.connection_info")
    yield from _ide_problems(spec.disks)
    yield from _boot_problems(spec.disks)


def plugged_problems(disk: PluggedDisk, machine: str, path: str) -> Iterator[Problem]:
    """Problems of one disk as storage made it, in a machine of type `machine` (q35 or pc)."""
    drive = _Drive(disk.bus, machine, cdrom=disk.device == "cdrom", readonly=disk.readonly)
    yield from _bus_problems(drive, path)
    yield from _name_problems(disk.id, disk.serial, path)


def too_many_ide(disks: Sequence[Disk | PluggedDisk]) -> bool:
    return sum(disk.bus is DiskBus.IDE for disk in disks) > IDE_DISKS


def connection_problems(connection: VolumeConnection, path: str) -> Iterator[Problem]:
    """Problems of a volume's connection that show without looking at the host. Fields have the names that a
    caller knows them by, cinder's."""
    match connection.target:
        case LocalVolume(device_path=where):
            yield from _path_problems(where, f"{path}.data.device_path")
        case FileVolume(path=where):
            yield from _path_problems(where, f"{path}.data.path")
        case NbdVolume() as target:
            yield from _nbd_problems(target, f"{path}.data")


def _bus_problems(drive: _Drive, path: str) -> Iterator[Problem]:
    for broken, problem, mend in _BUS_RULES:
        if broken(drive):
            yield Problem(f"{path}.bus", problem, mend)


def _name_problems(identity: str, serial: str | None, path: str) -> Iterator[Problem]:
    if ID.fullmatch(identity) is None:
        yield Problem(f"{path}.id", "can't name a device", ID_MEND)
    if serial is not None and (_SERIAL.fullmatch(serial) is None or len(serial) > SERIAL_LENGTH):
        mend = f"use 1 to {SERIAL_LENGTH} letters, digits, spaces and . _ + -"
        yield Problem(f"{path}.serial", "can't be a drive's serial number", mend)


def _ide_problems(disks: Sequence[AnyDisk]) -> Iterator[Problem]:
    ide = [place for place, disk in enumerate(disks) if disk.bus is DiskBus.IDE]
    for place in ide[IDE_DISKS:]:
        yield Problem(f"instance.disks[{place}].bus", "IDE has room for 4 disks", "use virtio, scsi or sata")


def _boot_problems(disks: Sequence[AnyDisk]) -> Iterator[Problem]:
    seen: dict[int, int] = {}
    for place, disk in enumerate(disks):
        index = disk.boot_index
        if index is not None and index >= 0 and seen.setdefault(index, place) != place:
            other = f"instance.disks[{seen[index]}]"
            yield Problem(f"instance.disks[{place}].boot_index", f"is that of {other}", "give each its own")


def _path_problems(where: Path, path: str) -> Iterator[Problem]:
    if not where.is_absolute() or where == Path("/"):
        yield Problem(path, "isn't an absolute path", "begin it with /")


def _nbd_problems(target: NbdVolume, path: str) -> Iterator[Problem]:
    if target.socket is not None and target.host is None:
        yield from _path_problems(target.socket, f"{path}.socket")
        if target.port is not None:
            yield Problem(f"{path}.port", "a socket has no port", "leave it out")
    elif target.host is not None and target.socket is None:
        if not _is_host(target.host):
            yield Problem(f"{path}.host", "is neither a host name nor an address", "give one")
        if target.port is None or not 0 < target.port < 65536:
            yield Problem(f"{path}.port", "isn't a TCP port", "give one from 1 to 65535")
    else:
        yield Problem(path, "needs a socket, or a host and port, and not both", "give one of them")
    if len(target.export.encode(errors="replace")) > _EXPORT_BYTES:
        yield Problem(f"{path}.export", "is too long", f"use at most {_EXPORT_BYTES} bytes")


def _is_host(text: str) -> bool:
    if _HOST_NAME.fullmatch(text):
        return True
    try:
        return ipaddress.ip_address(text).version == 6 and "%" not in text
    except ValueError:
        return False
