"""How one disk or interface is plugged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.hypervisor.plugged import disk_element, disk_xml, interface_element, interface_xml, scsi_controller_xml
from agent.spec import (
    Backing,
    BlockBacking,
    BridgeInterface,
    DiskBus,
    DiskFormat,
    FileBacking,
    NbdBacking,
    NetworkInterface,
    PluggedDisk,
    UserInterface,
)

FILE = FileBacking(path=Path("/f"), format=DiskFormat.QCOW2)
BLOCK = BlockBacking(path=Path("/dev/sdx"))
NBD = NbdBacking(host="h", port=1)


def disk(backing: Backing, **more: Any) -> PluggedDisk:
    return PluggedDisk.model_validate({"id": "v", "bus": DiskBus.VIRTIO, "backing": backing} | more)


@pytest.mark.parametrize(
    ("backing", "direct_io", "asked", "cache", "io"),
    [
        (FILE, False, None, None, None),
        (FILE, True, None, "none", None),
        (FILE, True, "writeback", "writeback", None),
        (FILE, False, "unsafe", "unsafe", None),
        (BLOCK, False, None, "none", "native"),
        (BLOCK, False, "none", "none", "native"),
        (BLOCK, True, "writethrough", "writethrough", None),
        (NBD, True, None, None, None),
    ],
)
def test_the_hosts_cache_is_passed_by_where_that_works(
    backing: Backing, direct_io: bool, asked: str | None, cache: str | None, io: str | None
) -> None:
    made = disk_element(disk(backing, cache=asked), "vda", direct_io=direct_io)
    assert (made.cache, made.io) == (cache, io)


def test_only_what_can_be_written_is_unmapped() -> None:
    assert disk_element(disk(FILE), "vda").discard == "unmap"
    assert disk_element(disk(FILE, readonly=True), "vda").discard is None
    assert disk_element(disk(FILE, device="cdrom", bus="sata"), "sda").discard is None


def test_a_cdrom_is_read_only_without_being_asked() -> None:
    assert disk_element(disk(FILE, device="cdrom", bus="sata"), "sda").readonly


def test_a_disk_is_known_by_alias_and_serial_which_is_its_id_unless_given() -> None:
    made = disk_element(disk(FILE), "vda")
    assert (made.alias, made.serial) == ("ua-v", "v")
    assert disk_element(disk(FILE, serial="S 1"), "vda").serial == "S 1"
    assert disk_element(disk(FILE, id="x" * 64), "vda").serial == "x" * 36


def test_a_hot_plugged_disk_boots_only_when_its_order_is_given() -> None:
    assert "<boot" not in disk_xml(disk(FILE, boot_index=0), "vdb")
    assert '<boot order="2"/>' in disk_xml(disk(FILE, boot_index=0), "vdb", boot_order=2)


def test_an_nbd_export_may_have_no_name_and_a_socket_no_host() -> None:
    assert (
        "name="
        not in disk_xml(disk(NbdBacking(socket=Path("/s"))), "vdb").split("<source")[1].split("/source>")[0]
    )
    assert '<host transport="unix" socket="/s"/>' in disk_xml(disk(NbdBacking(socket=Path("/s"))), "vdb")
    assert '<host name="h" port="1"/>' in disk_xml(disk(NBD), "vdb")


def test_a_tap_has_its_name_before_it_is_made() -> None:
    port = "6f0c9a53-6f0e-4b7c-9f7e-1d2c3b4a5f60"
    for interface in (
        BridgeInterface(port_id=port, mac_address="52:54:00:00:00:01", bridge="br0"),
        NetworkInterface(port_id=port, mac_address="52:54:00:00:00:01", network="default"),
    ):
        assert '<target dev="tap6f0c9a53-6f"/>' in interface_xml(interface)
    assert "<target" not in interface_xml(UserInterface(port_id=port, mac_address="52:54:00:00:00:01"))


def test_an_interface_is_known_by_alias() -> None:
    made = interface_element(UserInterface(port_id="p", mac_address="52:54:00:00:00:01", model="e1000"))
    assert (made.alias, made.model) == ("ua-p", "e1000")


def test_a_scsi_controller_is_of_the_kind_that_guests_know() -> None:
    assert 'index="1" model="virtio-scsi"' in scsi_controller_xml(1)
