"""The domains we write, before the judge that counts: a real libvirtd takes them and gives them back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.hypervisor import metadata, readback
from agent.hypervisor.domain import build
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.plugged import disk_xml, interface_xml, scsi_controller_xml
from agent.hypervisor.ports import Guest
from agent.hypervisor.targets import choose_target, scsi_controller
from agent.hypervisor.xml import parse
from agent.spec import DiskBus, DiskFormat, FileBacking, InstanceSpec, PluggedDisk, UserInterface
from tests.rig import Libvirtd, blank, rig_directory
from tests.xml.guests import GUESTS


@pytest.fixture
def directory() -> Iterator[Path]:
    with rig_directory() as path:
        yield path


class Host:
    """A libvirtd that forgets the test's domains."""

    def __init__(self, libvirtd: Libvirtd, directory: Path) -> None:
        self.libvirtd = libvirtd
        self.directory = directory
        self.known: list[UUID] = []
        emulator = Path("/usr/bin/qemu-system-x86_64")
        self.facts = HostFacts(hostname="host-1", virt_type="qemu", emulator=emulator, instance_dir=directory)

    def define(self, guest: Guest) -> UUID:
        self.virsh_with("define", "--validate", text=build(guest, self.facts))
        self.known.append(guest.spec.uuid)
        return guest.spec.uuid

    def virsh_with(self, *arguments: str, text: str) -> str:
        """virsh, with `text` as the file it asks for last."""
        path = self.directory / f"{uuid4()}.xml"
        path.write_text(text)
        return self.libvirtd.virsh(*arguments, str(path))

    def xml(self, uuid: UUID, *options: str) -> str:
        return self.libvirtd.virsh("dumpxml", str(uuid), *options)

    def disk(self, name: str, **more: Any) -> PluggedDisk:
        backing = FileBacking(path=blank(self.directory / name, "1M"), format=DiskFormat.RAW)
        facts: dict[str, Any] = {"id": name, "bus": DiskBus.VIRTIO, "backing": backing}
        return PluggedDisk.model_validate(facts | more)

    def forget(self) -> None:
        for uuid in self.known:
            if self.libvirtd.virsh("domstate", str(uuid)).strip() != "shut off":
                self.libvirtd.virsh("destroy", str(uuid))
            self.libvirtd.virsh("undefine", str(uuid), "--nvram")


@pytest.fixture
def host(libvirtd: Libvirtd, directory: Path) -> Iterator[Host]:
    made = Host(libvirtd, directory)
    yield made
    made.forget()


def guest(disks: tuple[PluggedDisk, ...] = (), **more: Any) -> Guest:
    base = {"uuid": uuid4(), "name": f"xml-{uuid4()}", "vcpus": 1, "memory_mb": 64}
    return Guest(spec=InstanceSpec.model_validate(base | more), disks=disks, generation=1)


def without_kvm(made: Guest) -> Guest:
    """A golden guest as a host without KVM can have it."""
    spec = made.spec
    if spec.cpu.mode == "host-passthrough":
        spec = spec.model_copy(update={"cpu": spec.cpu.model_copy(update={"mode": "maximum"})})
    return made.model_copy(update={"spec": spec})


def free_ports(text: str) -> int:
    """PCIe root ports that nothing is plugged into."""
    root = parse(text)
    ports = {int(str(port.get("index"))) for port in root.iterfind(".//controller[@model='pcie-root-port']")}
    addresses = root.iterfind("devices/*/address[@type='pci']")
    return len(ports - {int(str(address.get("bus")), 16) for address in addresses})


@pytest.mark.parametrize("name", GUESTS)
def test_libvirt_takes_every_golden_domain_and_gives_all_of_it_back(host: Host, name: str) -> None:
    made = without_kvm(GUESTS[name][0])
    text = host.xml(host.define(made))
    assert {disk.id for disk in readback.disks(text)} == {disk.id for disk in made.disks}
    assert {nic.port_id for nic in readback.interfaces(text)} == {nic.port_id for nic in made.spec.interfaces}
    assert metadata.parse(text) == metadata.describe(made, "host-1", None)
    assert readback.machine_type(text) == made.spec.machine.type


@pytest.mark.parametrize("cards", [(), ("virtio",), ("e1000",), ("virtio", "e1000", "e1000")])
@pytest.mark.parametrize("buses", [(), ("virtio", "virtio"), ("scsi", "sata"), ("scsi",) * 16])
def test_as_many_ports_stay_free_as_were_asked_for(
    host: Host, buses: tuple[str, ...], cards: tuple[str, ...]
) -> None:
    disks = tuple(host.disk(f"d{place}", bus=bus) for place, bus in enumerate(buses))
    nics = [
        {"type": "user", "port_id": f"p{place}", "mac_address": f"52:54:00:00:00:0{place}", "model": card}
        for place, card in enumerate(cards)
    ]
    text = host.xml(host.define(guest(disks, interfaces=nics, machine={"hotplug_ports": 3})))
    assert free_ports(text) == 3


@pytest.mark.parametrize("name", ["x" * 200, "é" * 12 + "x" * 9, "-rf", "a,b=c;$(d)", "<&>\"' {0} %s"])
def test_a_guest_with_an_odd_name_runs(host: Host, name: str) -> None:
    uuid = host.define(guest((host.disk("y" * 64, serial="z" * 36),), name=name))
    host.libvirtd.virsh("start", "--paused", str(uuid))
    text = host.xml(uuid)
    assert [disk.id for disk in readback.disks(text)] == ["y" * 64]
    assert readback.vnc_port(text) is not None
    assert str(readback.console_path(text)).startswith("/dev/pts/")


def test_a_hostile_path_is_a_file_like_any_other(host: Host) -> None:
    disk = host.disk("a,b <é&\"'=;").model_copy(update={"id": "odd"})
    uuid = host.define(guest((disk,)))
    host.libvirtd.virsh("start", "--paused", str(uuid))
    assert isinstance(disk.backing, FileBacking)
    assert [seen.source for seen in readback.disks(host.xml(uuid))] == [str(disk.backing.path)]


def test_the_generation_is_restamped_alone_in_a_running_domain(host: Host) -> None:
    made = guest()
    uuid = host.define(made)
    host.libvirtd.virsh("start", "--paused", str(uuid))
    before = host.libvirtd.virsh("metadata", str(uuid), metadata.NAMESPACE.uri)
    stamped = metadata.restamp(before, "host-2", 41, "req <2>")
    both = ("--live", "--config", "--key", metadata.NAMESPACE.prefix, "--set", stamped)
    host.libvirtd.virsh("metadata", str(uuid), metadata.NAMESPACE.uri, *both)
    for text in (host.xml(uuid), host.xml(uuid, "--inactive")):
        known = metadata.parse(text)
        assert known is not None
        assert (known.generation, known.request_id) == (41, "req <2>")
        assert known.spec() == made.spec


def test_what_is_plugged_later_is_found_and_taken_out_by_libvirts_own_text(host: Host) -> None:
    uuid = host.define(guest((host.disk("root"),), machine={"hotplug_ports": 3}))
    host.libvirtd.virsh("start", "--paused", str(uuid))
    both = ("--live", "--config")
    for bus in (DiskBus.VIRTIO, DiskBus.SCSI):
        disk = host.disk(f"vol-{bus}", bus=bus, removable=True)
        text = host.xml(uuid)
        target = choose_target(disk, readback.targets(text))
        if bus is DiskBus.SCSI and scsi_controller(target) not in readback.scsi_controllers(text):
            controller = scsi_controller_xml(scsi_controller(target))
            host.virsh_with("attach-device", str(uuid), *both, "--file", text=controller)
        host.virsh_with("attach-device", str(uuid), *both, "--file", text=disk_xml(disk, target))
    nic = UserInterface(port_id="late", mac_address="52:54:00:00:00:07")
    host.virsh_with("attach-device", str(uuid), *both, "--file", text=interface_xml(nic))

    text = host.xml(uuid)
    assert {disk.id: disk.removable for disk in readback.disks(text)} == {
        "root": False,
        "vol-virtio": True,
        "vol-scsi": True,
    }
    assert [late.port_id for late in readback.interfaces(text)] == ["late"]
    assert free_ports(text) == 0

    # From the stored definition only: a paused guest never lets go of what is plugged into it.
    stored = host.xml(uuid, "--inactive")
    for device in (readback.disk_element(stored, "vol-virtio"), readback.interface_element(stored, "late")):
        assert device is not None
        host.virsh_with("detach-device", str(uuid), "--config", "--file", text=device)
    left = host.xml(uuid, "--inactive")
    assert [disk.id for disk in readback.disks(left)] == ["root", "vol-scsi"]
    assert readback.interfaces(left) == ()
