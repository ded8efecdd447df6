"""Where an instance's disks lie and how the guest sees them. Pure: decided before anything is made.

<instances>/<uuid>/<disk id>.qcow2 | .raw     a disk
<instances>/<uuid>/<disk id>.base             a link to the cached image under an overlay
<instances>/<uuid>/config.iso                 the config drive
<instances>/<uuid>/<name>.part                one of these, half made
"""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

from agent.errors import InvalidRequest
from agent.hypervisor.boot_order import boot_indexes
from agent.spec import (
    AnyDisk,
    BlankDisk,
    DiskBus,
    DiskFormat,
    FileBacking,
    ImageDisk,
    InstanceSpec,
    PluggedDisk,
)

CONFIG_DRIVE = "config"
SERIAL_LENGTH = 20  # what virtio shows of a serial
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def instance_dir(instances_dir: Path, uuid: UUID) -> Path:
    # Through UUID once more: a string that came here by mistake must not be able to climb out.
    return instances_dir / str(UUID(str(uuid)))


def disk_path(instances_dir: Path, uuid: UUID, disk: AnyDisk) -> Path:
    """Raises InvalidRequest for an id that isn't safe as a file name."""
    if not SAFE_ID.fullmatch(disk.id):
        raise InvalidRequest.field(
            "disks.id", "not usable as a file name", "use letters, digits, '.', '_' and '-'"
        )
    return instance_dir(instances_dir, uuid) / f"{disk.id}.{format_of(disk)}"


def config_drive_path(instances_dir: Path, uuid: UUID) -> Path:
    return instance_dir(instances_dir, uuid) / f"{CONFIG_DRIVE}.iso"


def format_of(disk: AnyDisk) -> DiskFormat:
    """An image gets an overlay, blank disks what was asked; file systems lie in sparse raw files."""
    if isinstance(disk, ImageDisk):
        return DiskFormat.QCOW2
    return disk.format if isinstance(disk, BlankDisk) else DiskFormat.RAW


def layout(spec: InstanceSpec, instances_dir: Path, direct_io: bool) -> tuple[PluggedDisk, ...]:
    """All disks but volumes, in the spec's order, then the config drive."""
    boots = boot_indexes(spec.disks)
    plugged = [
        PluggedDisk(
            id=disk.id,
            bus=disk.bus,
            backing=FileBacking(path=disk_path(instances_dir, spec.uuid, disk), format=format_of(disk)),
            serial=disk.serial or disk.id[:SERIAL_LENGTH],
            boot_index=boots.get(disk.id),
            cache=disk.cache or ("none" if direct_io else "writeback"),
        )
        for disk in spec.disks
        if disk.kind != "volume"
    ]
    if spec.config_drive is not None:
        plugged.append(_config_drive(spec, instances_dir))
    return tuple(plugged)


def _config_drive(spec: InstanceSpec, instances_dir: Path) -> PluggedDisk:
    # A virtio disk, though it holds an ISO file system: q35 has no IDE, and small kernels have no AHCI
    # driver. cloud-init looks for the label config-2 on every block device.
    return PluggedDisk(
        id=CONFIG_DRIVE,
        bus=DiskBus.VIRTIO,
        backing=FileBacking(path=config_drive_path(instances_dir, spec.uuid), format=DiskFormat.RAW),
        serial=CONFIG_DRIVE,
        cache="writeback",
        readonly=True,
    )
