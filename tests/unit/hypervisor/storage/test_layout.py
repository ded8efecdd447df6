from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import InvalidRequest
from agent.hypervisor.boot_order import boot_indexes
from agent.hypervisor.storage.layout import disk_path, layout
from agent.spec import FileBacking
from tests.unit.hypervisor.storage.specs import UUID_1, image_disk, spec, volume_disk

ROOT = Path("/srv/instances")
BLANK = {"kind": "blank", "id": "data", "size_mb": 1}
ALL = (
    image_disk("root"),
    volume_disk("vol"),
    BLANK,
    {"kind": "ephemeral", "id": "scratch", "size_mb": 1},
    {"kind": "swap", "id": "swap", "size_mb": 1},
)


def test_every_disk_but_volumes_gets_a_file_and_the_config_drive_comes_last() -> None:
    plugged = layout(spec(disks=ALL, config_drive={}), ROOT, direct_io=True)
    home = ROOT / str(UUID_1)
    assert [(disk.id, disk.backing.type, disk.backing.format) for disk in plugged] == [
        ("root", "file", "qcow2"),
        ("data", "file", "qcow2"),
        ("scratch", "file", "raw"),
        ("swap", "file", "raw"),
        ("config", "file", "raw"),
    ]
    assert [disk.backing.path for disk in plugged if isinstance(disk.backing, FileBacking)] == [
        home / "root.qcow2",
        home / "data.qcow2",
        home / "scratch.raw",
        home / "swap.raw",
        home / "config.iso",
    ]


def test_the_config_drive_is_a_read_only_virtio_disk() -> None:
    (drive,) = layout(spec(config_drive={}), ROOT, direct_io=True)
    assert (drive.device, drive.bus, drive.readonly, drive.removable) == ("disk", "virtio", True, False)


def test_the_serial_is_the_id_as_far_as_virtio_shows_it_unless_given() -> None:
    disks = (image_disk("a" * 30), image_disk("b", serial="mine"))
    assert [disk.serial for disk in layout(spec(disks=disks), ROOT, direct_io=True)] == ["a" * 20, "mine"]


@pytest.mark.parametrize(("direct_io", "cache"), [(True, "none"), (False, "writeback")])
def test_the_page_cache_is_passed_by_only_where_the_file_system_can(direct_io: bool, cache: str) -> None:
    disks = (image_disk(), {**BLANK, "cache": "unsafe"})
    plugged = layout(spec(disks=disks), ROOT, direct_io=direct_io)
    assert [disk.cache for disk in plugged] == [cache, "unsafe"]


@pytest.mark.parametrize(
    ("disks", "boots"),
    [
        ((), {}),
        ((BLANK,), {}),
        ((BLANK, image_disk("a"), image_disk("b")), {"a": 1}),
        ((volume_disk("v"), image_disk("a")), {"v": 1}),
        ((image_disk("a"), image_disk("b", boot_index=2)), {"b": 2}),
        ((image_disk("a", boot_index=2), {**BLANK, "boot_index": 1}), {"a": 2, "data": 1}),
    ],
)
def test_the_first_image_or_volume_boots_unless_somebody_asked(
    disks: tuple[dict[str, object], ...], boots: dict[str, int]
) -> None:
    made = spec(disks=disks)
    assert boot_indexes(made.disks) == boots
    plugged = {disk.id: disk.boot_index for disk in layout(made, ROOT, direct_io=True)}
    assert plugged == {disk.id: boots.get(disk.id) for disk in made.disks if disk.kind != "volume"}


@pytest.mark.parametrize("bad", ["../../etc/passwd", "a/b", "", ".hidden", "..", "a\n", "-rf", "a" * 200])
def test_an_id_that_is_no_safe_file_name_is_refused(bad: str) -> None:
    made = spec(disks=[{**BLANK, "id": bad}])
    with pytest.raises(InvalidRequest):
        disk_path(ROOT, UUID_1, made.disks[0])
