"""What a guest gets: the policy of a whole domain. Its XML is kept in tests/xml."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.errors import InvalidRequest, Unsupported
from agent.hypervisor import domain
from agent.hypervisor.devices.balloon import Balloon
from agent.hypervisor.devices.channel import GuestAgentChannel
from agent.hypervisor.devices.console import PtySerial, UnixSerial
from agent.hypervisor.devices.controller import PcieRootPort, VirtioScsi
from agent.hypervisor.devices.cpu import Cpu, CpuModel
from agent.hypervisor.devices.disk import BlockDisk, FileDisk
from agent.hypervisor.devices.graphics import Video, Vnc
from agent.hypervisor.devices.interface import UserNic
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.ports import Guest
from agent.hypervisor.xml import Element
from agent.spec import BlockBacking, DiskBus, DiskFormat, FileBacking, InstanceSpec, PluggedDisk

FACTS = HostFacts(hostname="host-1", virt_type="qemu", emulator=Path("/usr/bin/qemu"), instance_dir=Path("/i"))
KVM = FACTS.model_copy(update={"virt_type": "kvm"})


def guest(disks: Sequence[PluggedDisk] = (), **more: Any) -> Guest:
    base = {"uuid": UUID(int=1), "name": "one", "vcpus": 8, "memory_mb": 128}
    return Guest(spec=InstanceSpec.model_validate(base | more), disks=tuple(disks), generation=1)


def disk(name: str, bus: str = "virtio", **more: Any) -> PluggedDisk:
    backing = FileBacking(path=Path("/i") / name, format=DiskFormat.RAW)
    return PluggedDisk.model_validate({"id": name, "bus": bus, "backing": backing} | more)


def nic(place: int, **more: Any) -> dict[str, Any]:
    return {"type": "user", "port_id": f"p{place}", "mac_address": f"52:54:00:00:00:{place:02x}"} | more


def of_kind(made: domain.Domain, kind: type[Element]) -> list[Any]:
    return [device for device in made.devices if isinstance(device, kind)]


def orders(*disks: PluggedDisk) -> dict[str, int | None]:
    made = of_kind(domain.element(guest(disks), FACTS), FileDisk)
    return {device.alias: device.boot_order for device in made}


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_the_tables_means_nothing(seed: int) -> None:
    made = guest(
        [disk("a"), disk("b", "scsi"), disk("c", "sata")], interfaces=[nic(1), nic(2, model="e1000"), nic(3)]
    )
    devices, fields = list(domain.DEVICES), list(domain.FIELDS.items())
    random.Random(seed).shuffle(devices)
    random.Random(seed).shuffle(fields)
    assert domain.assemble(made, FACTS, dict(fields), devices) == domain.element(made, FACTS)


def test_building_twice_gives_the_same() -> None:
    assert domain.build(guest([disk("a")]), FACTS) == domain.build(guest([disk("a")]), FACTS)


def test_interfaces_keep_the_order_of_the_spec() -> None:
    kinds = ["e1000", "virtio", "e1000"]
    made = domain.element(guest(interfaces=[nic(place, model=kind) for place, kind in enumerate(kinds)]), FACTS)
    assert [nic.alias for nic in of_kind(made, UserNic)] == ["ua-p0", "ua-p1", "ua-p2"]


def test_disks_keep_their_order_whatever_is_behind_them() -> None:
    block = BlockBacking(path=Path("/dev/sdx"))
    made = domain.element(guest([disk("a", backing=block), disk("b"), disk("c", backing=block)]), FACTS)
    assert [(one.alias, one.target) for one in made.devices if isinstance(one, FileDisk | BlockDisk)] == [
        ("ua-a", "vda"),
        ("ua-b", "vdb"),
        ("ua-c", "vdc"),
    ]


def test_boot_indexes_become_boot_orders_from_one() -> None:
    assert orders(disk("a", boot_index=5), disk("b", boot_index=0), disk("c", boot_index=-1), disk("d")) == {
        "ua-a": 2,
        "ua-b": 1,
        "ua-c": None,
        "ua-d": None,
    }


def ports(made: domain.Domain) -> int:
    return len(of_kind(made, PcieRootPort))


def test_a_q35_machine_has_its_spare_ports_beyond_what_it_is_born_with() -> None:
    bare = ports(domain.element(guest(machine={"hotplug_ports": 0}), FACTS))
    more = guest(
        [disk("a"), disk("b", "scsi"), disk("c", "sata")], interfaces=[nic(1)], machine={"hotplug_ports": 5}
    )
    # A virtio disk, the SCSI controller and a virtio card; SATA is built in.
    assert ports(domain.element(more, FACTS)) == bare + 3 + 5


def test_a_pc_has_no_pcie_ports() -> None:
    assert ports(domain.element(guest(machine={"type": "pc", "hotplug_ports": 5}), FACTS)) == 0


def test_there_is_a_scsi_controller_for_each_fifteen_disks_and_none_without() -> None:
    def controllers(count: int) -> list[int]:
        made = domain.element(guest([disk(f"d{place}", "scsi") for place in range(count)]), FACTS)
        return [device.index for device in of_kind(made, VirtioScsi)]

    assert [controllers(count) for count in (0, 1, 15, 16)] == [[], [0], [0], [0, 1]]


def test_sata_disks_before_a_scsi_disk_move_it_to_a_later_controller() -> None:
    disks = [disk(f"d{place}", "sata") for place in range(15)] + [disk("last", "scsi")]
    assert len(of_kind(domain.element(guest(disks), FACTS), VirtioScsi)) == 2


@pytest.mark.parametrize(
    ("facts", "wanted", "made"),
    [
        (KVM, {}, Cpu(mode="host-model")),
        (FACTS, {}, Cpu(mode="maximum")),
        (KVM, {"mode": "host-passthrough"}, Cpu(mode="host-passthrough")),
        (KVM, {"mode": "none"}, None),
        (KVM, {"mode": "none", "threads": 2}, Cpu(sockets=4, cores=1, threads=2)),
        (KVM, {"cores": 4}, Cpu(mode="host-model", sockets=2, cores=4, threads=1)),
        (KVM, {"sockets": 2, "cores": 2, "threads": 2}, Cpu(mode="host-model", sockets=2, cores=2, threads=2)),
        (KVM, {"mode": "custom", "model": "EPYC"}, Cpu(mode="custom", match="exact", model=CpuModel(name="EPYC"))),
    ],
)
def test_the_cpu_is_as_asked_or_what_the_host_does_best(facts: HostFacts, wanted: Any, made: Cpu | None) -> None:
    assert domain.element(guest(cpu=wanted), facts).cpu == made


def test_memory_is_in_kib() -> None:
    assert '<memory unit="KiB">131072</memory>' in domain.build(guest(), FACTS)


def test_uefi_leaves_secure_boot_out() -> None:
    text = domain.build(guest(firmware="uefi"), FACTS)
    assert '<os firmware="efi">' in text
    assert '<feature name="secure-boot" enabled="no"/>' in text


def test_the_guest_reads_its_uuid_in_its_smbios_tables() -> None:
    sysinfo = domain.element(guest(), FACTS).sysinfo
    assert sysinfo is not None
    entries = {entry.name: entry.value for entry in sysinfo.system}
    assert entries["serial"] == entries["uuid"] == str(UUID(int=1))


def test_a_console_is_logged_unless_it_is_said_not_to_be() -> None:
    logged = of_kind(domain.element(guest(), FACTS), PtySerial)
    silent = of_kind(domain.element(guest(console={"type": "unix", "log": False}), FACTS), UnixSerial)
    assert [str(serial.log) for serial in logged] == ["/i/console.log"]
    assert [(str(serial.path), serial.log) for serial in silent] == [("/i/console.sock", None)]


def test_without_graphics_there_is_no_screen_either() -> None:
    made = domain.element(guest(graphics={"type": "none"}), FACTS)
    assert of_kind(made, Vnc) + of_kind(made, Video) == []


def test_vnc_listens_on_loopback_alone() -> None:
    assert [screen.listen for screen in of_kind(domain.element(guest(), FACTS), Vnc)] == ["127.0.0.1"]


def test_the_guest_agent_can_be_left_out_the_balloon_cant() -> None:
    made = domain.element(guest(guest_agent=False), FACTS)
    assert of_kind(made, GuestAgentChannel) == []
    assert [balloon.stats_period for balloon in of_kind(made, Balloon)] == [10]


def test_what_the_host_lacks_is_refused() -> None:
    with pytest.raises(Unsupported, match="host-passthrough"):
        domain.build(guest(cpu={"mode": "host-passthrough"}), FACTS)


def test_disks_that_cant_be_in_one_guest_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"instance\.disks\[0\]\.bus"):
        domain.build(guest([disk("a", DiskBus.IDE)]), FACTS)
