"""What is refused before anything is made: each with the field's path, the problem and the mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agent.errors import InvalidRequest, Unsupported
from agent.hypervisor import limits
from agent.hypervisor.facts import HostFacts
from agent.secret import Secret
from agent.spec import DiskBus, DiskFormat, FileBacking, InstanceSpec, PluggedDisk, UserInterface, VolumeConnection

GOOD: dict[str, Any] = {
    "uuid": UUID(int=1),
    "name": "one",
    "vcpus": 2,
    "memory_mb": 128,
    "disks": [{"kind": "blank", "id": "root", "size_mb": 1}],
    "interfaces": [{"type": "user", "port_id": "p", "mac_address": "52:54:00:00:00:01"}],
}
FACTS = HostFacts(hostname="host-1", virt_type="qemu", emulator=Path("/q"), instance_dir=Path("/i"))


def spec(**more: Any) -> InstanceSpec:
    return InstanceSpec.model_validate(GOOD | more)


def problems(made: InstanceSpec) -> list[str]:
    """The fields that are refused."""
    with pytest.raises(InvalidRequest) as caught:
        limits.check(made)
    fields = caught.value.details["fields"]
    assert all(field["problem"] and field["mend"] for field in fields)
    return [field["path"] for field in fields]


def blank(**more: Any) -> dict[str, Any]:
    return {"kind": "blank", "id": "d", "size_mb": 1} | more


def volume(target: dict[str, Any], **more: Any) -> dict[str, Any]:
    connection = {"volume_id": "v", "target": target, "access_mode": more.pop("access_mode", "rw")}
    return {"kind": "volume", "id": "v", "connection": connection} | more


def nic(**more: Any) -> dict[str, Any]:
    return {"type": "user", "port_id": "n", "mac_address": "52:54:00:00:00:09"} | more


def bridge(**more: Any) -> dict[str, Any]:
    return nic(type="bridge", **({"bridge": "br0"} | more))


def test_a_plain_spec_is_fine() -> None:
    limits.check(spec())


def test_all_problems_are_told_at_once() -> None:
    assert problems(spec(name="a/b", vcpus=0, memory_mb=0)) == [
        "instance.name",
        "instance.vcpus",
        "instance.memory_mb",
    ]


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "x" * 201, "é" * 17, "a\nb", "a\x00b", "a\x7fb", "\ud800"]
)
def test_a_name_that_libvirt_couldnt_use_is_refused(name: str) -> None:
    assert "instance.name" in problems(spec(name=name))


@pytest.mark.parametrize("name", ["x" * 200, "é" * 12 + "x" * 9, "-rf", "a,b=c", "<&>\"'"])
def test_an_odd_name_that_works_is_fine(name: str) -> None:
    limits.check(spec(name=name))


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"vcpus": 256}, "instance.vcpus"),
        ({"memory_mb": 1 << 40}, "instance.memory_mb"),
        ({"machine": {"hotplug_ports": 65}}, "instance.machine.hotplug_ports"),
        ({"machine": {"hotplug_ports": -1}}, "instance.machine.hotplug_ports"),
        ({"cpu": {"mode": "custom"}}, "instance.cpu.model"),
        ({"cpu": {"mode": "custom", "model": "No Such"}}, "instance.cpu.model"),
        ({"cpu": {"model": "Nehalem"}}, "instance.cpu.model"),
        ({"cpu": {"cores": 0}}, "instance.cpu.cores"),
        ({"cpu": {"cores": 3}}, "instance.cpu"),
        ({"cpu": {"sockets": 1}}, "instance.cpu"),
        ({"owner": {"user_id": "a\x1b"}}, "instance.owner.user_id"),
    ],
)
def test_what_no_machine_can_be_is_refused(more: dict[str, Any], path: str) -> None:
    assert problems(spec(**more)) == [path]


@pytest.mark.parametrize(
    "cpu", [{"cores": 2}, {"sockets": 2}, {"threads": 2}, {"sockets": 1, "cores": 2, "threads": 1}]
)
def test_a_topology_that_makes_the_vcpus_is_fine(cpu: dict[str, int]) -> None:
    limits.check(spec(cpu=cpu))


@pytest.mark.parametrize(
    ("disk", "field"),
    [
        (blank(id="a.b"), "id"),
        (blank(id=""), "id"),
        (blank(id="x" * 65), "id"),
        (blank(serial="x" * 37), "serial"),
        (blank(serial=""), "serial"),
        (blank(serial="a/b"), "serial"),
        (blank(bus="ide"), "bus"),
        (volume({"type": "file", "path": "/v"}, bus="sata", access_mode="ro"), "bus"),
        (volume({"type": "file", "path": "v"}), "connection_info.data.path"),
        (volume({"type": "local", "device_path": "/"}), "connection_info.data.device_path"),
        (volume({"type": "nbd"}), "connection_info.data"),
        (volume({"type": "nbd", "host": "h", "port": 1, "socket": "/s"}), "connection_info.data"),
        (volume({"type": "nbd", "host": "h"}), "connection_info.data.port"),
        (volume({"type": "nbd", "host": "h", "port": 0}), "connection_info.data.port"),
        (volume({"type": "nbd", "host": "a b", "port": 1}), "connection_info.data.host"),
        (volume({"type": "nbd", "host": "fe80::1%eth0", "port": 1}), "connection_info.data.host"),
        (volume({"type": "nbd", "socket": "/s", "port": 1}), "connection_info.data.port"),
        (volume({"type": "nbd", "socket": "s"}), "connection_info.data.socket"),
        (volume({"type": "nbd", "socket": "/s", "export": "x" * 4097}), "connection_info.data.export"),
        (volume({"type": "nbd", "socket": "/s\n"}), "connection_info.data.socket"),
    ],
)
def test_a_disk_that_cant_be_is_refused(disk: dict[str, Any], field: str) -> None:
    assert problems(spec(disks=[blank(id="first"), disk])) in (
        [f"instance.disks[1].{field}"],
        [f"instance.disks[1].{field}"] * 2,
    )


def test_a_fifth_ide_disk_is_refused_by_its_place() -> None:
    disks = [blank(id=f"d{place}", bus="ide") for place in range(5)]
    made = spec(disks=disks, machine={"type": "pc"})
    assert problems(made) == ["instance.disks[4].bus"]
    limits.check(spec(disks=disks[:4], machine={"type": "pc"}))


def test_two_disks_cant_have_one_boot_index_but_many_may_have_none() -> None:
    disks = [blank(id=f"d{place}", boot_index=index) for place, index in enumerate([0, -1, None, -1, 0])]
    assert problems(spec(disks=disks)) == ["instance.disks[4].boot_index"]


def test_no_two_devices_of_an_instance_share_a_name() -> None:
    made = spec(disks=[blank(id="a"), blank(id="a")], interfaces=[nic(port_id="a")])
    assert problems(made) == ["instance.disks[1].id", "instance.interfaces[0].port_id"]


@pytest.mark.parametrize(
    ("interface", "field"),
    [
        (nic(port_id="a b"), "port_id"),
        (nic(mac_address="52:54:00:00:00"), "mac_address"),
        (nic(mac_address="53:54:00:00:00:01"), "mac_address"),
        (nic(mac_address="52-54-00-00-00-01"), "mac_address"),
        (nic(mtu=1500), "mtu"),
        (bridge(mtu=67), "mtu"),
        (bridge(mtu=65536), "mtu"),
        (bridge(bridge="a-name-too-long-1"), "bridge"),
        (bridge(bridge="../br0"), "bridge"),
        (bridge(bridge=""), "bridge"),
        (nic(type="network", network=""), "network"),
        (nic(type="network", network="a/b"), "network"),
    ],
)
def test_an_interface_that_cant_be_is_refused(interface: dict[str, Any], field: str) -> None:
    assert problems(spec(interfaces=[nic(port_id="p0", mac_address="52:54:00:00:00:00"), interface])) == [
        f"instance.interfaces[1].{field}"
    ]


def test_two_interfaces_cant_have_one_mac_however_it_is_written() -> None:
    made = spec(
        interfaces=[nic(mac_address="52:54:00:00:00:aa"), nic(port_id="m", mac_address="52:54:00:00:00:AA")]
    )
    assert problems(made) == ["instance.interfaces[1].mac_address"]


def test_two_ports_that_would_make_one_tap_are_refused() -> None:
    ports = [bridge(port_id=f"12345678-123{end}", mac_address=f"52:54:00:00:00:0{end}") for end in "45"]
    assert problems(spec(interfaces=ports)) == ["instance.interfaces[1].port_id"]


def test_what_only_the_guest_reads_may_hold_any_text() -> None:
    limits.check(
        spec(metadata={"a\x00": "\x1b\ufffe"}, config_drive={"meta": {"b": "\x07"}, "user_data": Secret("\x00")})
    )


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"metadata": {"a": "\ud800"}}, "instance.metadata.a"),
        ({"metadata": {"\ud800": "a"}}, "instance.metadata"),
        ({"config_drive": {"user_data": Secret("\udfff")}}, "instance.config_drive.user_data"),
    ],
)
def test_a_lone_surrogate_is_refused_everywhere(more: dict[str, Any], path: str) -> None:
    assert problems(spec(**more)) == [path]


def test_a_refusal_doesnt_tell_a_secret() -> None:
    with pytest.raises(InvalidRequest) as caught:
        limits.check(spec(config_drive={"admin_pass": Secret("hidden\ud800")}))
    assert "hidden" not in repr(caught.value) + str(caught.value.details)


@pytest.mark.parametrize(
    ("facts", "more", "feature"),
    [
        ({}, {"cpu": {"mode": "host-passthrough"}}, "cpu.host-passthrough"),
        ({"arch": "s390x"}, {}, "arch"),
        ({"machines": ["pc"]}, {}, "machine.q35"),
        ({"uefi": False}, {"firmware": "uefi"}, "firmware.uefi"),
    ],
)
def test_what_this_host_lacks_is_named(facts: dict[str, Any], more: dict[str, Any], feature: str) -> None:
    host = HostFacts.model_validate(FACTS.model_dump() | facts)
    with pytest.raises(Unsupported) as caught:
        limits.check_host(spec(**more), host)
    assert caught.value.details == {"feature": feature}


def test_what_this_host_has_is_fine() -> None:
    limits.check_host(spec(firmware="uefi"), FACTS)
    limits.check_host(spec(cpu={"mode": "host-passthrough"}), FACTS.model_copy(update={"virt_type": "kvm"}))


def plugged(bus: DiskBus, **more: Any) -> PluggedDisk:
    backing = FileBacking(path=Path("/d"), format=DiskFormat.RAW)
    return PluggedDisk.model_validate({"id": "d", "bus": bus, "backing": backing} | more)


def test_the_config_drive_counts_among_the_ide_disks() -> None:
    disks = tuple(plugged(DiskBus.IDE) for _ in range(4))
    limits.check_guest(disks, "pc")
    with pytest.raises(InvalidRequest, match="config drive"):
        limits.check_guest((*disks, plugged(DiskBus.IDE, device="cdrom")), "pc")


def test_a_cdrom_cant_be_on_virtio_but_may_be_read_only_on_ide() -> None:
    limits.check_disk(plugged(DiskBus.IDE, device="cdrom", readonly=True), "pc")
    with pytest.raises(InvalidRequest, match=r"volume\.bus"):
        limits.check_disk(plugged(DiskBus.VIRTIO, device="cdrom"), "q35", "volume")


def test_one_interface_or_connection_is_checked_by_the_same_rules() -> None:
    with pytest.raises(InvalidRequest, match=r"vif\.mtu"):
        limits.check_interface(UserInterface(port_id="p", mac_address="52:54:00:00:00:01", mtu=1500))
    connection = VolumeConnection.model_validate({"volume_id": "v", "target": {"type": "nbd"}})
    with pytest.raises(InvalidRequest, match=r"connection_info\.data"):
        limits.check_connection(connection)
