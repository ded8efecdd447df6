"""How one disk or interface of ours becomes a libvirt device; the policy of single devices lives here.

`domain` builds whole guests of them, the libvirt driver hot-plugs with `disk_xml` and `interface_xml`. Pure.
"""

from __future__ import annotations

from typing import Any

from agent.hypervisor.devices.controller import VirtioScsi
from agent.hypervisor.devices.disk import AnyDisk, BlockDisk, FileDisk, NbdTcpDisk, NbdUnixDisk
from agent.hypervisor.devices.interface import AnyNic, BridgeNic, NetworkNic, UserNic
from agent.hypervisor.limits.disks import SERIAL_LENGTH
from agent.hypervisor.targets import tap_name
from agent.spec import (
    AnyInterface,
    BlockBacking,
    BridgeInterface,
    FileBacking,
    NbdBacking,
    NetworkInterface,
    PluggedDisk,
    UserInterface,
)

ALIAS = "ua-"
"""libvirt keeps only aliases that begin so; what follows is our own identifier."""


def disk_xml(disk: PluggedDisk, target: str, *, boot_order: int | None = None, direct_io: bool = False) -> str:
    """The device to hand to attachDeviceFlags.

    `target` from `targets.choose_target`. `boot_order` counts from 1 and must be free; left out, the guest
    doesn't boot from the disk. `direct_io`: its file can be opened with O_DIRECT.
    """
    return disk_element(disk, target, boot_order, direct_io).to_xml()


def interface_xml(interface: AnyInterface) -> str:
    """The device to hand to attachDeviceFlags."""
    return interface_element(interface).to_xml()


def scsi_controller_xml(index: int) -> str:
    """What a SCSI disk hangs from (`targets.scsi_controller`): without it libvirt adds one guests can't drive."""
    return VirtioScsi(index=index).to_xml()


def disk_element(
    disk: PluggedDisk, target: str, boot_order: int | None = None, direct_io: bool = False
) -> AnyDisk:
    shared: dict[str, Any] = {
        "device": disk.device,
        "format": disk.backing.format,
        "target": target,
        "bus": disk.bus,
        "readonly": disk.readonly or disk.device == "cdrom",
        "serial": disk.serial or disk.id[:SERIAL_LENGTH],
        "boot_order": boot_order,
        "alias": ALIAS + disk.id,
        **_driver(disk, direct_io),
    }
    match disk.backing:
        case FileBacking(path=path):
            return FileDisk(path=path, **shared)
        case BlockBacking(path=path):
            return BlockDisk(path=path, **shared)
        case NbdBacking(socket=None, host=host, port=port, export=export):
            return NbdTcpDisk(host=host, port=port, export=export or None, **shared)
        case NbdBacking(socket=socket, export=export):
            return NbdUnixDisk(socket=socket, export=export or None, **shared)


def interface_element(interface: AnyInterface) -> AnyNic:
    shared: dict[str, Any] = {
        "mac": interface.mac_address,
        "model": interface.model,
        "alias": ALIAS + interface.port_id,
    }
    match interface:
        case BridgeInterface(bridge=bridge, mtu=mtu):
            return BridgeNic(bridge=bridge, tap=tap_name(interface.port_id), mtu=mtu, **shared)
        case NetworkInterface(network=network, mtu=mtu):
            return NetworkNic(network=network, tap=tap_name(interface.port_id), mtu=mtu, **shared)
        case UserInterface():
            return UserNic(**shared)


def _driver(disk: PluggedDisk, direct_io: bool) -> dict[str, str | None]:
    """How QEMU reads and writes it.

    The host's page cache is passed by where that works: a guest has a cache of its own, and the host's would
    hold everything twice. Unmapping gives space back; a reader has none to give.
    """
    block = isinstance(disk.backing, BlockBacking)
    direct = block or (direct_io and isinstance(disk.backing, FileBacking))
    cache = disk.cache or ("none" if direct else None)
    return {
        "cache": cache,
        # Native I/O wants O_DIRECT; on sparse files it blocks where a thread wouldn't.
        "io": "native" if block and cache == "none" else None,
        "discard": None if disk.readonly or disk.device == "cdrom" else "unmap",
    }
