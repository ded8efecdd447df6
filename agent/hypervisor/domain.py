"""From a guest and a host to a domain's XML: what a guest of ours looks like is decided here.

The libvirt driver hands the result to defineXML; `plan` shows it to people. Two tables are the contents of a
domain: FIELDS has one pure function for each part of it, DEVICES one for each concern under <devices>. Their
order means nothing: a new concern is a function and its line in a table.

No secret is in what comes out: none of these functions opens one, and the spec in the metadata has stars.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias
from uuid import UUID

from agent.hypervisor import limits
from agent.hypervisor.devices import Device
from agent.hypervisor.devices.balloon import Balloon
from agent.hypervisor.devices.boot import Boot, FirmwareFeature
from agent.hypervisor.devices.channel import GuestAgentChannel
from agent.hypervisor.devices.clock import Clock, Timer
from agent.hypervisor.devices.console import PtySerial, UnixSerial
from agent.hypervisor.devices.controller import NoUsb, PcieRootPort, VirtioScsi
from agent.hypervisor.devices.cpu import Cpu, CpuModel
from agent.hypervisor.devices.disk import BlockDisk, FileDisk, NbdTcpDisk, NbdUnixDisk
from agent.hypervisor.devices.graphics import Video, Vnc
from agent.hypervisor.devices.interface import BridgeNic, NetworkNic, UserNic
from agent.hypervisor.devices.power import Features, PowerManagement
from agent.hypervisor.devices.rng import Rng
from agent.hypervisor.devices.sysinfo import Entry, SystemInfo
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.metadata import Metadata, describe
from agent.hypervisor.plugged import disk_element, interface_element
from agent.hypervisor.ports import Guest
from agent.hypervisor.targets import assign_targets, scsi_controller
from agent.hypervisor.xml import At, Element
from agent.spec import DiskBus, PluggedDisk

BALLOON_STATS_S = 10  # as fresh as a 10 s scrape; asking the guest more often costs it wake-ups


class Domain(Element):
    """A whole guest. `memory_kib` in KiB."""

    tag: ClassVar[str] = "domain"

    type: Annotated[Literal["kvm", "qemu"], At("@type")]
    uuid: Annotated[UUID, At("uuid")]
    name: Annotated[str, At("name")]
    metadata: Annotated[Metadata | None, At("metadata")] = None
    memory_kib: Annotated[int, At("memory", unit="KiB")]
    vcpus: Annotated[int, At("vcpu")]
    boot: Annotated[Boot | None, At(".")] = None
    sysinfo: Annotated[SystemInfo | None, At(".")] = None
    features: Annotated[Features | None, At(".")] = None
    cpu: Annotated[Cpu | None, At(".")] = None
    clock: Annotated[Clock | None, At(".")] = None
    on_poweroff: Annotated[Literal["destroy"] | None, At("on_poweroff")] = None
    on_reboot: Annotated[Literal["restart"] | None, At("on_reboot")] = None
    on_crash: Annotated[Literal["destroy"] | None, At("on_crash")] = None
    pm: Annotated[PowerManagement | None, At(".")] = None
    emulator: Annotated[Path, At("devices/emulator")]
    devices: Annotated[tuple[Device, ...], At("devices")] = ()


def build(guest: Guest, facts: HostFacts) -> str:
    """The XML for defineXML, safe to show.

    Raises InvalidRequest for disks that can't be in one guest, Unsupported for what this host lacks.
    """
    return element(guest, facts).to_xml()


def element(guest: Guest, facts: HostFacts) -> Domain:
    """As `build`, before it is text."""
    limits.check_host(guest.spec, facts)
    limits.check_guest(guest.disks, guest.spec.machine.type)
    return assemble(guest, facts, FIELDS, DEVICES)


FieldBuilder: TypeAlias = Callable[[Guest, HostFacts], Any]
DeviceBuilder: TypeAlias = Callable[[Guest, HostFacts], Iterator[Device]]


def assemble(
    guest: Guest, facts: HostFacts, fields: Mapping[str, FieldBuilder], builders: Sequence[DeviceBuilder]
) -> Domain:
    devices = [device for builder in builders for device in builder(guest, facts)]
    if guest.spec.machine.type == "q35":
        ports = _ports_taken(devices) + guest.spec.machine.hotplug_ports
        devices += [PcieRootPort(index=place + 1) for place in range(ports)]
    devices.sort(key=_rank)
    return Domain(devices=tuple(devices), **{name: make(guest, facts) for name, make in fields.items()})


# --- the parts beside the devices ---


def boot(guest: Guest, facts: HostFacts) -> Boot:
    """UEFI without Secure Boot: its keys and its SMM are worth it only with a guest that asks for them."""
    uefi = guest.spec.firmware == "uefi"
    return Boot(
        firmware="efi" if uefi else None,
        arch=facts.arch,
        machine=guest.spec.machine.type,
        features=(FirmwareFeature(enabled=False),) if uefi else (),
        smbios="sysinfo",
    )


def sysinfo(guest: Guest, facts: HostFacts) -> SystemInfo:
    """Serial and uuid are the instance's, by which a guest (cloud-init) tells that it was cloned."""
    entries = {
        "manufacturer": "compute-agent",
        "product": "Virtual Machine",
        "version": "1",
        "serial": str(guest.spec.uuid),
        "uuid": str(guest.spec.uuid),
        "family": "Virtual Machine",
    }
    return SystemInfo(system=tuple(Entry.model_validate({"name": k, "value": v}) for k, v in entries.items()))


def cpu(guest: Guest, facts: HostFacts) -> Cpu | None:
    wanted = guest.spec.cpu
    mode = wanted.mode or ("host-model" if facts.virt_type == "kvm" else "maximum")
    layout = _topology(guest)
    if mode == "none":
        return Cpu(**layout) if layout else None
    if mode == "custom":
        return Cpu(mode=mode, match="exact", model=CpuModel(name=wanted.model or ""), **layout)
    return Cpu(mode=mode, **layout)


def _topology(guest: Guest) -> dict[str, int]:
    """Nothing when nothing was asked for; else what was left out is filled in, sockets last."""
    asked = guest.spec.cpu
    if asked.sockets is asked.cores is asked.threads is None:
        return {}
    cores, threads = asked.cores or 1, asked.threads or 1
    sockets = asked.sockets or guest.spec.vcpus // (cores * threads)
    return {"sockets": sockets, "cores": cores, "threads": threads}


def clock(guest: Guest, facts: HostFacts) -> Clock:
    """Ticks missed by the PIT are delivered late, the RTC's caught up with; the HPET can do neither well."""
    timers = (
        Timer(name="pit", tickpolicy="delay"),
        Timer(name="rtc", tickpolicy="catchup"),
        Timer(name="hpet", present=False),
    )
    return Clock(offset=guest.spec.clock, timers=timers)


FIELDS: dict[str, FieldBuilder] = {
    "type": lambda guest, facts: facts.virt_type,
    "uuid": lambda guest, facts: guest.spec.uuid,
    "name": lambda guest, facts: guest.spec.name,
    "metadata": lambda guest, facts: describe(guest, facts.hostname, facts.agent_version),
    "memory_kib": lambda guest, facts: guest.spec.memory_mb * 1024,
    "vcpus": lambda guest, facts: guest.spec.vcpus,
    "boot": boot,
    "sysinfo": sysinfo,
    "features": lambda guest, facts: Features(),
    "cpu": cpu,
    "clock": clock,
    "on_poweroff": lambda guest, facts: "destroy",
    "on_reboot": lambda guest, facts: "restart",
    # A guest that panicked holds no memory that another could use; why it stopped is in the event.
    "on_crash": lambda guest, facts: "destroy",
    # A guest that sleeps by itself would be in a power state that no method of ours ends.
    "pm": lambda guest, facts: PowerManagement(suspend_to_mem=False, suspend_to_disk=False),
    "emulator": lambda guest, facts: facts.emulator,
}


# --- the devices, a concern each ---


def disks(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    names = assign_targets(guest.disks)
    orders = _boot_orders(guest.disks)
    for disk, target in zip(guest.disks, names, strict=True):
        yield disk_element(disk, target, orders.get(disk.id), facts.direct_io)


def _boot_orders(disks: Sequence[PluggedDisk]) -> dict[str, int]:
    """libvirt's boot order (from 1) by disk id. Whose boot index is absent or negative doesn't boot."""
    asked = [disk for disk in disks if disk.boot_index is not None and disk.boot_index >= 0]
    asked.sort(key=lambda disk: disk.boot_index or 0)
    return {disk.id: place for place, disk in enumerate(asked, start=1)}


def scsi_controllers(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    """Named, because the kind libvirt adds by itself is one that few guests have a driver for."""
    names = zip(guest.disks, assign_targets(guest.disks), strict=True)
    needed = [scsi_controller(name) for disk, name in names if disk.bus is DiskBus.SCSI]
    for index in range(max(needed, default=-1) + 1):
        yield VirtioScsi(index=index)


def interfaces(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    yield from map(interface_element, guest.spec.interfaces)


def console(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    """The log is kept over restarts: it says why the boot before this one failed. virtlogd bounds its size."""
    wanted = guest.spec.console
    log = {"log": facts.console_log, "append": True} if wanted.log else {}
    if wanted.type == "unix":
        yield UnixSerial.model_validate({"path": facts.console_socket, **log})
    else:
        yield PtySerial.model_validate(log)


def guest_agent(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    if guest.spec.guest_agent:
        yield GuestAgentChannel()


def screen(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    """The plain VGA card: boot loaders and rescue systems show something on it without a driver."""
    if guest.spec.graphics.type == "vnc":
        yield Vnc()
        yield Video()


def always(guest: Guest, facts: HostFacts) -> Iterator[Device]:
    """What every guest has. An idle USB controller would wake the host for nothing."""
    yield NoUsb()
    yield Rng()
    yield Balloon(stats_period=BALLOON_STATS_S)


DEVICES: tuple[DeviceBuilder, ...] = (
    disks,
    scsi_controllers,
    interfaces,
    console,
    guest_agent,
    screen,
    always,
)


# --- order and PCIe ports ---


_KINDS: tuple[type[Element], ...] = typing.get_args(Device)
_SEEN_IN_ORDER = {"disk", "interface"}


def _rank(device: Device) -> int:
    """Where it is written, whatever the order of the tables. A guest counts its disks and cards: these keep
    the order of the spec, of whatever kind they are."""
    if device.tag in _SEEN_IN_ORDER:
        return next(place for place, kind in enumerate(_KINDS) if kind.tag == device.tag)
    return _KINDS.index(type(device))


_TAKES_A_PORT = (VirtioScsi, GuestAgentChannel, Rng, Balloon)
_DISKS = (FileDisk, BlockDisk, NbdUnixDisk, NbdTcpDisk)
_NICS = (BridgeNic, NetworkNic, UserNic)


def _ports_taken(devices: Sequence[Device]) -> int:
    """How many PCIe ports these devices fill when the guest is cold: only what is over stays for hot-plug.

    virtio devices take one each (the guest agent through its serial controller). For old PCI cards (e1000)
    libvirt adds a bridge with a port of its own. Screen and SATA are built in.
    """
    nics = [device for device in devices if isinstance(device, _NICS)]
    virtio_disks = sum(isinstance(d, _DISKS) and d.bus is DiskBus.VIRTIO for d in devices)
    virtio_nics = sum(nic.model == "virtio" for nic in nics)
    return virtio_disks + virtio_nics + sum(isinstance(d, _TAKES_A_PORT) for d in devices)
