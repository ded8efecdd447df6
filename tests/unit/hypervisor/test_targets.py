"""Names for drives and taps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.hypervisor.targets import (
    assign_targets,
    choose_target,
    next_target,
    scsi_controller,
    tap_name,
    target_index,
    target_name,
)
from agent.spec import DiskBus, DiskFormat, FileBacking, PluggedDisk


def disk(bus: DiskBus, target: str | None = None) -> PluggedDisk:
    backing = FileBacking(path=Path("/d"), format=DiskFormat.RAW)
    return PluggedDisk(id="d", bus=bus, backing=backing, target=target)


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "vda"), (25, "vdz"), (26, "vdaa"), (51, "vdaz"), (52, "vdba"), (701, "vdzz"), (702, "vdaaa")],
)
def test_letters_go_on_after_z(index: int, name: str) -> None:
    assert target_name(DiskBus.VIRTIO, index) == name


@given(st.sampled_from(DiskBus), st.integers(0, 20000))
def test_a_name_tells_its_number(bus: DiskBus, index: int) -> None:
    assert target_index(target_name(bus, index)) == index


@pytest.mark.parametrize("name", ["", "vd", "xvda", "vda1", "VDA", "nvme0n1", "vdé"])
def test_what_isnt_a_target_has_no_number(name: str) -> None:
    assert target_index(name) is None


def test_the_first_free_name_is_taken_gaps_too() -> None:
    assert next_target({"vda", "vdc", "sdb"}, DiskBus.VIRTIO) == "vdb"


def test_scsi_and_sata_share_their_letters() -> None:
    assert assign_targets([disk(DiskBus.SATA), disk(DiskBus.SCSI), disk(DiskBus.VIRTIO)]) == ("sda", "sdb", "vda")


def test_who_asks_for_a_name_gets_it_though_others_come_first() -> None:
    assert assign_targets([disk(DiskBus.VIRTIO), disk(DiskBus.VIRTIO, "/dev/vda")]) == ("vdb", "vda")


def test_of_two_who_ask_for_one_name_the_first_gets_it() -> None:
    assert assign_targets([disk(DiskBus.VIRTIO, "vdb"), disk(DiskBus.VIRTIO, "vdb")]) == ("vdb", "vda")


@pytest.mark.parametrize(
    ("bus", "hint"),
    [
        (DiskBus.VIRTIO, "sda"),
        (DiskBus.VIRTIO, "vdaa"),
        (DiskBus.IDE, "hde"),
        (DiskBus.SCSI, "sdzz"),
        (DiskBus.VIRTIO, "vda; rm -rf /"),
        (DiskBus.VIRTIO, ""),
    ],
)
def test_a_name_that_wont_do_is_passed_over(bus: DiskBus, hint: str) -> None:
    assert choose_target(disk(bus, hint), set()) == target_name(bus, 0)


@given(
    st.lists(st.builds(disk, st.sampled_from(DiskBus), st.none() | st.from_regex("[vsh]d[a-e]", fullmatch=True)))
)
def test_no_two_disks_get_the_same_name(disks: list[PluggedDisk]) -> None:
    names = assign_targets(disks)
    assert len(set(names)) == len(names) == len(disks)


@pytest.mark.parametrize(("name", "controller"), [("sda", 0), ("sdo", 0), ("sdp", 1), ("sdae", 2)])
def test_fifteen_scsi_disks_hang_from_one_controller(name: str, controller: int) -> None:
    assert scsi_controller(name) == controller


def test_a_tap_is_named_after_its_port_and_fits_the_kernels_limit() -> None:
    name = tap_name("6f0c9a53-6f0e-4b7c-9f7e-1d2c3b4a5f60")
    assert name == "tap6f0c9a53-6f"
    assert len(name) < 16
