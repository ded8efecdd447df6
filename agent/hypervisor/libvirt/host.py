"""What this host is and has: the port `Host`, and what the builders must know of it.

Functions of a connection run in a QUERY worker; the two readers of libvirt's capability documents are pure.
What hardly changes (machine types, buses, the emulator) is learned once by `driver` and kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from agent.hypervisor import xml
from agent.hypervisor.libvirt import views
from agent.hypervisor.libvirt.accel import VirtType
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.connection import Lane, Libvirt
from agent.hypervisor.libvirt.views import Here
from agent.hypervisor.ports import DomainView, HostView
from agent.hypervisor.storage.capacity import MIB
from agent.spec import PowerState

ARCH = "x86_64"
ALL_CELLS = -1  # VIR_NODE_MEMORY_STATS_ALL_CELLS
KIB_IN_MIB = 1024
ACTIVE = (PowerState.RUNNING, PowerState.PAUSED)

VOLUME_TYPES = ("file", "local", "nbd")
INTERFACE_TYPES = ("bridge", "network", "user")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What libvirt and QEMU offer guests here. The defaults hold until libvirt was asked."""

    emulator: Path = Path("/usr/bin/qemu-system-x86_64")
    virt_types: frozenset[str] = frozenset({"kvm", "qemu"})
    machines: frozenset[str] = frozenset({"q35", "pc"})
    disk_buses: frozenset[str] = frozenset({"virtio", "scsi", "sata", "ide"})
    uefi: bool = True
    cpu_model: str | None = None


def read_capabilities(text: str, default: Abilities) -> Abilities:
    """From virConnectGetCapabilities. `default` stands where it says nothing. Raises xml.BadXml."""
    root = xml.parse(text)
    guests = [
        arch
        for guest in root.iterfind("guest")
        for arch in guest.iterfind("arch")
        if arch.get("name") == ARCH and guest.findtext("os_type") == "hvm"
    ]
    cpu_model = root.findtext("host/cpu/model") or default.cpu_model
    if not guests:
        nothing: frozenset[str] = frozenset()
        return replace(default, virt_types=nothing, machines=nothing, cpu_model=cpu_model)
    arch = guests[0]
    names = {machine.text for machine in arch.iterfind("machine")}
    return replace(
        default,
        emulator=Path(arch.findtext("emulator") or default.emulator),
        virt_types=frozenset(domain.get("type", "") for domain in arch.iterfind("domain")),
        machines=default.machines & names,
        cpu_model=cpu_model,
    )


def read_domain_capabilities(text: str, known: Abilities) -> Abilities:
    """`known`, completed from virConnectGetDomainCapabilities. Raises xml.BadXml.

    IDE stays: the document is asked for a q35 machine, which hasn't got it, and a pc machine always has.
    """
    root = xml.parse(text)
    buses = {value.text for value in root.iterfind("devices/disk/enum[@name='bus']/value")}
    firmware = {value.text for value in root.iterfind("os/enum[@name='firmware']/value")}
    has_ide = {"ide"} if "pc" in known.machines else set()
    return replace(known, disk_buses=known.disk_buses & (buses | has_ide), uefi="efi" in firmware)


def learn(connection: Connection) -> Abilities:
    """Ask libvirt; the first time it may take seconds, as libvirt then asks QEMU."""
    known = read_capabilities(connection.getCapabilities(), Abilities())
    if not known.machines:
        return known
    machine = "q35" if "q35" in known.machines else "pc"
    text = connection.getDomainCapabilities(str(known.emulator), ARCH, machine, "qemu")
    return read_domain_capabilities(text, known)


@dataclass(frozen=True, slots=True)
class Raw:
    """What one look at the host gave. Memory in MiB."""

    arch: str
    memory_mb: int
    cpus: int
    free_mb: int
    version: int
    libvirt_version: int
    kind: str
    domains: tuple[DomainView, ...]


def look(here: Here) -> Raw:
    """Memory is what /proc/meminfo says. `getInfo` adds up the NUMA nodes, which may lack what was added to the
    host while it runs."""
    connection = here.connection
    arch, _, cpus = connection.getInfo()[:3]
    memory = connection.getMemoryStats(ALL_CELLS)
    return Raw(
        arch=arch,
        memory_mb=memory["total"] // KIB_IN_MIB,
        cpus=cpus,
        free_mb=memory["free"] // KIB_IN_MIB,
        version=connection.getVersion(),
        libvirt_version=connection.getLibVersion(),
        kind=connection.getType(),
        domains=views.all_of_ours(here),
    )


class Known(Protocol):
    """What was learned so far."""

    virt_type: VirtType
    abilities: Abilities


class LibvirtHost:
    def __init__(self, libvirt: Libvirt, hostname: str, known: Known, disk_directory: Path) -> None:
        self._libvirt = libvirt
        self._hostname = hostname
        self._known = known
        self._disk_directory = disk_directory

    async def describe(self) -> HostView:
        look_too = partial(_look_with_disk, host=self._hostname, directory=self._disk_directory)
        raw, disk_mb, disk_free_mb = await self._libvirt.call(Lane.QUERY, look_too, what="describing the host")
        abilities = self._known.abilities
        active = [d.spec for d in raw.domains if d.power_state in ACTIVE and d.spec is not None]
        return HostView(
            hostname=self._hostname,
            hypervisor_type=raw.kind,
            hypervisor_version=dotted(raw.version),
            virt_type=self._known.virt_type,
            arch=raw.arch,
            cpu_model=abilities.cpu_model,
            vcpus=raw.cpus,
            vcpus_used=sum(spec.vcpus for spec in active),
            memory_mb=raw.memory_mb,
            memory_mb_used=sum(spec.memory_mb for spec in active),
            disk_mb=disk_mb,
            disk_mb_free=disk_free_mb,
            instances=len(raw.domains),
            capabilities=shown(abilities, raw),
        )


def shown(abilities: Abilities, raw: Raw) -> dict[str, Any]:
    """What a scheduler may choose by, beyond the numbers."""
    return {
        "libvirt_version": dotted(raw.libvirt_version),
        "machine_types": sorted(abilities.machines),
        "disk_buses": sorted(abilities.disk_buses),
        "firmware": ["bios", "uefi"] if abilities.uefi else ["bios"],
        "interface_types": list(INTERFACE_TYPES),
        "volume_types": list(VOLUME_TYPES),
        "memory_mb_free": raw.free_mb,
    }


def _look_with_disk(connection: Connection, host: str, directory: Path) -> tuple[Raw, int, int]:
    disk = os.statvfs(directory)
    return look(Here(connection, host)), disk.f_blocks * disk.f_frsize // MIB, disk.f_bavail * disk.f_frsize // MIB


def dotted(version: int) -> str:
    """libvirt's way of writing versions in one number: 7002022 is 7.2.22."""
    return f"{version // 1_000_000}.{version // 1_000 % 1_000}.{version % 1_000}"
