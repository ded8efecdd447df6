"""What a live domain's XML says, in the words of `ports`. Pure; what isn't known is passed over.

The libvirt driver calls it on what XMLDesc gave. Devices are told by alias (`ua-<id>`), a disk that has lost its
alias by its serial; never by target, which is only a hint. To take a device out, hand libvirt its own text
back (`disk_element`, `interface_element`): libvirt compares more than our views hold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, ClassVar

from agent.hypervisor import metadata, xml
from agent.hypervisor.plugged import ALIAS
from agent.hypervisor.ports import DiskView, InterfaceView
from agent.hypervisor.xml import At, Element


class LiveDisk(Element):
    """The parts of a <disk> that we look at, whatever kind it is."""

    tag: ClassVar[str] = "disk"

    alias: Annotated[str | None, At("alias/@name")] = None
    serial: Annotated[str | None, At("serial")] = None
    target: Annotated[str, At("target/@dev")] = ""
    bus: Annotated[str, At("target/@bus")] = ""
    device: Annotated[str, At("@device")] = "disk"
    file: Annotated[str | None, At("source/@file")] = None
    dev: Annotated[str | None, At("source/@dev")] = None
    protocol: Annotated[str | None, At("source/@protocol")] = None
    export: Annotated[str | None, At("source/@name")] = None
    host: Annotated[str | None, At("source/host/@name")] = None
    port: Annotated[str | None, At("source/host/@port")] = None
    socket: Annotated[str | None, At("source/host/@socket")] = None
    boot_order: Annotated[int | None, At("boot/@order")] = None


class LiveInterface(Element):
    """The parts of an <interface> that we look at."""

    tag: ClassVar[str] = "interface"

    type: Annotated[str, At("@type")] = ""
    alias: Annotated[str | None, At("alias/@name")] = None
    mac: Annotated[str, At("mac/@address")] = ""
    bridge: Annotated[str | None, At("source/@bridge")] = None
    network: Annotated[str | None, At("source/@network")] = None
    tap: Annotated[str | None, At("target/@dev")] = None


class LiveSerial(Element):
    tag: ClassVar[str] = "serial"

    path: Annotated[str | None, At("source/@path")] = None
    log: Annotated[str | None, At("log/@file")] = None


class LiveGraphics(Element):
    tag: ClassVar[str] = "graphics"

    type: Annotated[str, At("@type")] = ""
    port: Annotated[int, At("@port")] = -1


class LiveController(Element):
    tag: ClassVar[str] = "controller"

    type: Annotated[str, At("@type")] = ""
    index: Annotated[int, At("@index")] = 0


class Live(Element):
    """A domain as libvirt gives it."""

    tag: ClassVar[str] = "domain"

    machine: Annotated[str, At("os/type/@machine")] = ""
    disks: Annotated[tuple[LiveDisk, ...], At("devices")] = ()
    interfaces: Annotated[tuple[LiveInterface, ...], At("devices")] = ()
    serials: Annotated[tuple[LiveSerial, ...], At("devices")] = ()
    graphics: Annotated[tuple[LiveGraphics, ...], At("devices")] = ()
    controllers: Annotated[tuple[LiveController, ...], At("devices")] = ()


@lru_cache(maxsize=16)
def _live(text: str) -> Live:
    """Remembered for a moment: a view of a domain asks several things of one text."""
    return Live.from_xml(text)


def disks(text: str) -> tuple[DiskView, ...]:
    """Every disk that is ours, in the domain's order. Raises BadXml."""
    ours = metadata.parse(text)
    fixed = {disk.id for disk in ours.fixed_disks} if ours else set()
    seen = ((disk, _disk_id(disk)) for disk in _live(text).disks)
    return tuple(_disk_view(disk, known, known not in fixed) for disk, known in seen if known)


def interfaces(text: str) -> tuple[InterfaceView, ...]:
    """Every interface that is ours. Raises BadXml."""
    seen = ((nic, _identity(nic.alias)) for nic in _live(text).interfaces)
    return tuple(_interface_view(nic, port_id) for nic, port_id in seen if port_id)


def device_ids(text: str) -> frozenset[str]:
    """The ids of all disks and ports that are ours. Raises BadXml."""
    return frozenset(disk.id for disk in disks(text)) | frozenset(nic.port_id for nic in interfaces(text))


def targets(text: str) -> frozenset[str]:
    """The target names in use, also by disks that aren't ours. Raises BadXml."""
    return frozenset(disk.target for disk in _live(text).disks)


def next_boot_order(text: str) -> int | None:
    """The first boot order after all that are in use. Raises BadXml.

    None when no disk has one: libvirt then boots by kind of device, and refuses a disk with an order.
    """
    used = [disk.boot_order for disk in _live(text).disks if disk.boot_order is not None]
    return max(used) + 1 if used else None


def scsi_controllers(text: str) -> frozenset[int]:
    """The indexes of the SCSI controllers. Raises BadXml."""
    return frozenset(c.index for c in _live(text).controllers if c.type == "scsi")


def machine_type(text: str) -> str:
    """q35 or pc, from the versioned name libvirt stores (`pc-q35-7.2`). Raises BadXml."""
    return "q35" if "q35" in _live(text).machine else "pc"


def vnc_port(text: str) -> int | None:
    """None while the guest is off or has no screen. Raises BadXml."""
    ports = (screen.port for screen in _live(text).graphics if screen.type == "vnc")
    return next((port for port in ports if port > 0), None)


def console_path(text: str) -> str | None:
    """The pseudo terminal or socket of the first serial port; None while there is none. Raises BadXml."""
    return next((serial.path for serial in _live(text).serials), None)


def console_log(text: str) -> str | None:
    """The file that the first serial port is logged to. Raises BadXml."""
    return next((serial.log for serial in _live(text).serials), None)


def disk_element(text: str, disk_id: str) -> str | None:
    """The disk as libvirt wrote it, for detachDeviceFlags; None when it isn't there. Raises BadXml."""
    return _element(text, "disk", lambda node: _disk_id(LiveDisk.from_node(node)) == disk_id)


def interface_element(text: str, port_id: str) -> str | None:
    """The interface as libvirt wrote it, for detachDeviceFlags; None when it isn't there. Raises BadXml."""
    return _element(text, "interface", lambda node: _identity(LiveInterface.from_node(node).alias) == port_id)


def _element(text: str, tag: str, wanted: Callable[[xml.Node], bool]) -> str | None:
    found = xml.parse(text).iterfind(f"devices/{tag}")
    return next((xml.render(node) for node in found if wanted(node)), None)


def _identity(alias: str | None) -> str | None:
    return alias[len(ALIAS) :] if alias and alias.startswith(ALIAS) else None


def _disk_id(disk: LiveDisk) -> str | None:
    return _identity(disk.alias) or disk.serial


def _disk_view(disk: LiveDisk, known: str, removable: bool) -> DiskView:
    return DiskView(
        id=known,
        target=disk.target,
        bus=disk.bus,
        source=disk.file or disk.dev or _network_source(disk),
        serial=disk.serial,
        removable=removable,
    )


def _network_source(disk: LiveDisk) -> str | None:
    """As qemu-img writes it: `nbd://host:port/export`, `nbd+unix:///export?socket=/path`."""
    if disk.protocol is None:
        return None
    export = disk.export or ""
    if disk.socket:
        return f"{disk.protocol}+unix:///{export}?socket={disk.socket}"
    host = f"[{disk.host}]" if disk.host and ":" in disk.host else disk.host
    return f"{disk.protocol}://{host}:{disk.port}/{export}"


def _interface_view(nic: LiveInterface, port_id: str) -> InterfaceView:
    return InterfaceView(
        port_id=port_id,
        type=nic.type,
        mac_address=nic.mac,
        # A network's own bridge stands beside it while the guest runs.
        source=nic.network or nic.bridge,
        tap=nic.tap,
    )
