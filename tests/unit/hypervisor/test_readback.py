"""What is read from a live domain. The XML in tests/xml/live is libvirt 9.0's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.hypervisor import readback
from agent.hypervisor.ports import DiskView, InterfaceView
from agent.hypervisor.xml import BadXml

LIVE = Path(__file__).parents[2] / "xml" / "live"
RUNNING = (LIVE / "running.xml").read_text()
DEFINED = (LIVE / "defined.xml").read_text()
EMPTY = "<domain><name>x</name></domain>"
HERE = "/var/lib/compute-agent/instances/live"


def domain(devices: str) -> str:
    return f"<domain><devices>{devices}</devices></domain>"


def test_our_disks_are_listed_and_a_strangers_isnt() -> None:
    unix = f"nbd+unix:///vol?socket={HERE}/nbd.sock"
    tcp = "nbd://127.0.0.1:10977/vol"
    assert readback.disks(RUNNING) == (
        DiskView(id="root", target="vda", bus="virtio", source=f"{HERE}/root", serial="root"),
        DiskView(id="vol-unix", target="vdb", bus="virtio", source=unix, serial="vol-unix", removable=True),
        DiskView(id="vol-tcp", target="sda", bus="scsi", source=tcp, serial="vol-tcp", removable=True),
        DiskView(id="config", target="sdb", bus="sata", source=f"{HERE}/cd", serial="config"),
    )


def test_every_kind_of_source_is_told() -> None:
    sources = {disk.id: disk.source for disk in readback.disks(DEFINED)}
    assert sources == {
        "vol-local": "/dev/mapper/vol-1",
        "vol-file": "/srv/volumes/2.qcow2",
        "vol-tcp": "nbd://[2001:db8::7]:10809/a/b",
        "vol-unix": "nbd+unix:///?socket=/run/nbd/4.sock",
        "vol-raw": "/srv/volumes/5.raw",
        "vol-disk": "/dev/disk/by-id/wwn-6",
    }


def test_our_interfaces_are_listed_with_their_taps() -> None:
    assert readback.interfaces(RUNNING) == (
        InterfaceView(
            port_id="6f0c9a53-6f0e-4b7c-9f7e-1d2c3b4a5f60",
            type="bridge",
            mac_address="52:54:00:00:00:01",
            source="br0",
            tap="tap6f0c9a53-6f",
        ),
        InterfaceView(
            port_id="net-1", type="network", mac_address="52:54:00:00:00:02", source="default", tap="tapnet-1"
        ),
        InterfaceView(port_id="user-1", type="user", mac_address="52:54:00:00:00:03", source=None, tap=None),
    )


def test_a_disk_without_our_alias_is_known_by_its_serial() -> None:
    text = domain(
        "<disk type='file'><source file='/f'/><target dev='vdq' bus='virtio'/><serial>v-1</serial></disk>"
    )
    assert readback.disks(text) == (
        DiskView(id="v-1", target="vdq", bus="virtio", source="/f", serial="v-1", removable=True),
    )


def test_an_alias_comes_before_a_serial_and_a_target_counts_for_nothing() -> None:
    text = domain("<disk><target dev='vda' bus='virtio'/><serial>vdb</serial><alias name='ua-v'/></disk>")
    assert readback.disk_element(text, "v") is not None
    assert readback.disk_element(text, "vdb") is None
    assert readback.disk_element(text, "vda") is None


def test_a_disk_whose_source_is_of_no_known_kind_is_still_ours() -> None:
    text = domain(
        "<disk type='nvme'><target dev='vda'/><alias name='ua-v'/><source type='pci' namespace='1'/></disk>"
    )
    assert [(disk.id, disk.source) for disk in readback.disks(text)] == [("v", None)]


def test_the_device_to_take_out_is_libvirts_own_text() -> None:
    device = readback.disk_element(RUNNING, "vol-unix")
    assert device is not None
    assert device.startswith('<disk type="network" device="disk">')
    assert 'tls="no" index="3"' in device
    assert "<address " in device
    assert device.count("<disk") == 1
    assert device.endswith("</disk>\n")
    nic = readback.interface_element(RUNNING, "net-1")
    assert nic is not None
    assert "portid=" in nic


def test_what_isnt_there_is_none() -> None:
    assert readback.disk_element(RUNNING, "other") is None
    assert readback.interface_element(RUNNING, "root") is None
    assert len(readback.disks(EMPTY)) == len(readback.interfaces(EMPTY)) == 0
    assert [readback.vnc_port(EMPTY), readback.console_path(EMPTY), readback.console_log(EMPTY)] == [None] * 3


def test_all_targets_are_taken_also_a_strangers() -> None:
    assert readback.targets(RUNNING) == {"vda", "vdb", "sda", "sdb", "sdk"}


def test_the_next_boot_order_follows_those_in_use() -> None:
    assert readback.next_boot_order(RUNNING) == 2
    assert readback.next_boot_order(domain("<disk><boot order='3'/></disk><disk><boot order='1'/></disk>")) == 4
    assert readback.next_boot_order(EMPTY) is None


def test_the_screen_and_the_console_are_told_while_they_are_there() -> None:
    assert readback.vnc_port(RUNNING) == 5901
    assert readback.vnc_port(DEFINED) is None
    assert readback.vnc_port(domain("<graphics type='spice' port='5900'/>")) is None
    assert readback.console_path(RUNNING) == f"{HERE}/console.sock"
    assert readback.console_path(DEFINED) is None
    assert readback.console_log(RUNNING) == f"{HERE}/console.log"


def test_scsi_controllers_are_told_by_index() -> None:
    assert readback.scsi_controllers(RUNNING) == {0, 1}
    assert readback.scsi_controllers(DEFINED) == frozenset()


def test_the_machine_is_told_without_its_version() -> None:
    assert readback.machine_type(RUNNING) == "q35"
    assert readback.machine_type("<domain><os><type machine='pc-i440fx-7.2'>hvm</type></os></domain>") == "pc"


def test_what_isnt_xml_is_refused() -> None:
    with pytest.raises(BadXml):
        readback.disks("<domain")
