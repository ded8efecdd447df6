"""An instance's disks: right inside, whole or absent, and gone without a trace."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from agent import telemetry
from agent.errors import InvalidRequest, NoCapacity, Unavailable
from agent.hypervisor.ports import Disks
from agent.hypervisor.storage.disks import LocalDisks
from agent.spec import InstanceSpec
from tests.integration.small_disk import told_by
from tests.integration.storage_ground import (
    MIB,
    NO_WAIT,
    checksum,
    info,
    open_disks,
    qcow2,
    qemu_img,
    silent,
    source,
)
from tests.unit.hypervisor.storage.specs import image_disk, spec

BLANK = {"kind": "blank", "id": "data", "size_mb": 16}
EPHEMERAL = {"kind": "ephemeral", "id": "scratch", "size_mb": 16}
SWAP = {"kind": "swap", "id": "swap", "size_mb": 16}


@pytest.fixture
def disks(tmp_path: Path) -> LocalDisks:
    return open_disks(tmp_path)


@pytest.fixture
def image(tmp_path: Path, disks: LocalDisks) -> Path:
    return qcow2(tmp_path / "images" / "a.qcow2")


async def made(disks: Disks, *asked: dict[str, Any], **more: Any) -> tuple[InstanceSpec, Path]:
    """An instance with all its disks, and its directory."""
    instance = spec(disks=asked, uuid=uuid4(), **more)
    await disks.make_directory(instance.uuid)
    for disk in instance.disks:
        await disks.create(instance, disk)
    if instance.config_drive is not None:
        await disks.create_config_drive(instance)
    (backing, *_) = [plugged.backing for plugged in disks.layout(instance)]
    assert backing.type == "file"
    return instance, backing.path.parent


def seen(path: Path) -> dict[str, str]:
    """What `blkid` says of it."""
    done = subprocess.run(["blkid", "-p", "-o", "export", path], capture_output=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.decode().splitlines())


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def open_file(path: Path) -> bool:
    return path.stat().st_mode & 0o077 != 0


# What is made.


@pytest.mark.parametrize(("form", "size_mb", "bytes_"), [("qcow2", None, 8), ("qcow2", 20, 20), ("raw", 20, 20)])
async def test_an_image_disk_is_an_overlay_of_the_size_asked(
    disks: LocalDisks, tmp_path: Path, form: str, size_mb: int | None, bytes_: int
) -> None:
    image = tmp_path / "images" / "a"
    qcow2(image)
    if form == "raw":
        qemu_img("convert", "-f", "qcow2", "-O", "raw", image, tmp_path / "images" / "b")
        image = tmp_path / "images" / "b"
    asked = image_disk("root", image=source(image, form).model_dump(), size_mb=size_mb)
    _, home = await made(disks, asked)
    found = info(home / "root.qcow2", "qcow2")
    assert found["virtual-size"] == bytes_ * MIB
    assert found["backing-filename-format"] == form
    base = Path(found["full-backing-filename"])
    assert base == tmp_path / "state" / "image-cache" / base.parent.name / "disk"
    assert base.parent == (home / "root.base").readlink()
    # Inside is the image's content, then nothing.
    flat = tmp_path / "flat"
    qemu_img("convert", "-f", "qcow2", "-O", "raw", home / "root.qcow2", flat)
    content = flat.read_bytes()
    assert content[:MIB] == b"\x5a" * MIB
    assert not any(content[MIB:])


async def test_a_disk_smaller_than_its_image_is_refused_and_the_field_named(
    disks: LocalDisks, image: Path
) -> None:
    asked = image_disk("root", image=source(image).model_dump(), size_mb=7)
    with pytest.raises(InvalidRequest, match="8 MiB") as caught:
        await made(disks, BLANK, asked)
    assert caught.value.details["fields"][0]["path"] == "instance.disks[1].size_mb"


async def test_an_image_that_wasnt_fetched_is_fetched(disks: LocalDisks, image: Path) -> None:
    _, home = await made(disks, image_disk("root", image=source(image).model_dump()))
    assert (home / "root.qcow2").exists()


@pytest.mark.parametrize("form", ["raw", "qcow2"])
async def test_a_blank_disk_has_its_format_and_size_and_takes_no_room(disks: LocalDisks, form: str) -> None:
    _, home = await made(disks, {**BLANK, "format": form})
    path = home / f"data.{form}"
    found = info(path, form)
    assert (found["format"], found["virtual-size"]) == (form, 16 * MIB)
    assert found["actual-size"] < MIB


@pytest.mark.parametrize(
    ("filesystem", "label", "type_", "shown"),
    [("ext4", "ephemeral0", "ext4", "ephemeral0"), ("vfat", "EPHEMERAL0", "vfat", "EPHEMERAL0")],
)
async def test_an_ephemeral_disk_has_its_file_system_and_label(
    disks: LocalDisks, filesystem: str, label: str, type_: str, shown: str
) -> None:
    _, home = await made(disks, {**EPHEMERAL, "filesystem": filesystem, "label": label})
    found = seen(home / "scratch.raw")
    assert (found["TYPE"], found["LABEL"]) == (type_, shown)
    assert (home / "scratch.raw").stat().st_size == 16 * MIB


async def test_an_ephemeral_disk_without_a_file_system_is_empty(disks: LocalDisks) -> None:
    _, home = await made(disks, {**EPHEMERAL, "filesystem": "none"})
    assert not any((home / "scratch.raw").read_bytes())


async def test_swap_space_is_swap_space(disks: LocalDisks) -> None:
    _, home = await made(disks, SWAP)
    found = seen(home / "swap.raw")
    assert (found["TYPE"], found["LABEL"]) == ("swap", "swap")


async def test_all_that_is_laid_out_is_made_and_nobody_else_may_read_it(disks: LocalDisks, image: Path) -> None:
    before = os.umask(0)
    try:
        asked = image_disk("root", image=source(image).model_dump())
        instance, home = await made(disks, asked, BLANK, EPHEMERAL, SWAP, config_drive={"admin_pass": "hunter2"})
    finally:
        os.umask(before)
    files = [plugged.backing for plugged in disks.layout(instance)]
    assert names(home) == sorted([*(file.path.name for file in files if file.type == "file"), "root.base"])
    assert not [path for path in home.iterdir() if not path.is_symlink() and open_file(path)]
    assert home.stat().st_mode & 0o777 == 0o711
    assert seen(home / "config.iso")["LABEL"] == "config-2"


async def test_the_time_is_counted(disks: LocalDisks) -> None:
    with telemetry.measured() as shares:
        await made(disks, BLANK)
    assert shares["qemu_img"] > 0


async def test_where_direct_io_works_the_layout_asks_for_it(disks: LocalDisks, tmp_path: Path) -> None:
    try:
        os.close(os.open(tmp_path / "probe", os.O_CREAT | os.O_RDWR | os.O_DIRECT))
    except OSError:
        expected = "writeback"
    else:
        expected = "none"
    assert disks.layout(spec(disks=[BLANK]))[0].cache == expected
    assert not [path for path in (tmp_path / "state" / "instances").iterdir()]


# Repeats, failures, kills.


async def test_a_finished_disk_is_kept(disks: LocalDisks, image: Path) -> None:
    asked = image_disk("root", image=source(image).model_dump())
    instance, home = await made(disks, asked, BLANK, config_drive={})
    before = {path.name: path.lstat().st_ino for path in home.iterdir()}
    image.unlink()
    for disk in instance.disks:
        await disks.create(instance, disk)
    await disks.create_config_drive(instance)
    await disks.make_directory(instance.uuid)
    assert {path.name: path.lstat().st_ino for path in home.iterdir()} == before


async def test_a_half_made_disk_is_made_again(disks: LocalDisks, image: Path) -> None:
    instance = spec(disks=[image_disk("root", image=source(image).model_dump()), SWAP], config_drive={})
    await disks.make_directory(instance.uuid)
    for plugged in disks.layout(instance):
        assert plugged.backing.type == "file"
        path = plugged.backing.path
        path.with_name(path.name + ".part").write_bytes(b"half a disk")
    (path.parent / "root.base.part").symlink_to("nowhere")
    for disk in instance.disks:
        await disks.create(instance, disk)
    await disks.create_config_drive(instance)
    assert names(path.parent) == ["config.iso", "root.base", "root.qcow2", "swap.raw"]
    assert info(path.parent / "root.qcow2", "qcow2")["virtual-size"] == 8 * MIB
    assert seen(path.parent / "swap.raw")["TYPE"] == "swap"


async def test_what_fails_leaves_nothing_of_the_disk(disks: LocalDisks) -> None:
    # A FAT file system can't be that small: mkfs fails after the file was made.
    instance = spec(disks=[{**EPHEMERAL, "filesystem": "vfat", "label": "x" * 12}])
    await disks.make_directory(instance.uuid)
    with pytest.raises(Exception, match="vfat"):
        await disks.create(instance, instance.disks[0])
    (plugged,) = disks.layout(instance)
    assert plugged.backing.type == "file"
    assert names(plugged.backing.path.parent) == []


async def test_a_creation_that_is_cancelled_leaves_nothing(disks: LocalDisks, tmp_path: Path) -> None:
    instance = spec(disks=[{**EPHEMERAL, "size_mb": 4096}])
    await disks.make_directory(instance.uuid)
    home = tmp_path / "state" / "instances" / str(instance.uuid)
    creating = asyncio.create_task(disks.create(instance, instance.disks[0]))
    async with asyncio.timeout(60):
        while not names(home):
            await asyncio.sleep(0)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert names(home) == []


async def test_what_counts_in_full_is_refused_when_it_doesnt_fit_above_the_reserve(tmp_path: Path) -> None:
    stat = os.statvfs(tmp_path)
    free = stat.f_bavail * stat.f_frsize
    disks = open_disks(tmp_path, replace(NO_WAIT, reserve=free // 2))
    too_much = free // MIB
    for asked in ({**BLANK, "format": "raw"}, EPHEMERAL, SWAP):
        with pytest.raises(NoCapacity) as caught:
            await made(disks, {**asked, "size_mb": too_much})
        assert caught.value.details["needed_mb"] == too_much
    # What grows only when it is written to counts as nothing.
    await made(disks, {**BLANK, "format": "qcow2", "size_mb": too_much})


async def test_the_reserve_is_never_given_away(tmp_path: Path) -> None:
    disks = open_disks(tmp_path, replace(NO_WAIT, reserve=2**60))
    for asked in (BLANK, EPHEMERAL, SWAP):
        with pytest.raises(NoCapacity):
            await made(disks, asked)
    instance = spec(config_drive={})
    await disks.make_directory(instance.uuid)
    with pytest.raises(NoCapacity):
        await disks.create_config_drive(instance)


def test_on_a_disk_that_runs_full_everything_is_no_capacity_and_nothing_half_made_stays(
    tmp_path: Path,
) -> None:
    image = qcow2(tmp_path / "image", 32, data_mib=12)
    where = tmp_path / "small"
    where.mkdir()
    told = told_by("tests.integration.storage_full_disk", where, image, checksum(image.read_bytes()))
    assert told == {
        "fetch": "no_capacity",
        "fetch of unknown length": "no_capacity",
        "filesystem": "no_capacity",
        "config drive": "no_capacity",
        "left": [],
    }


# Removal.


async def test_removing_takes_the_whole_directory_and_twice_is_fine(disks: LocalDisks, image: Path) -> None:
    instance, home = await made(disks, BLANK, SWAP)
    _, kept = await made(disks, BLANK)
    await disks.remove(instance.uuid)
    await disks.remove(instance.uuid)
    assert not home.exists()
    assert kept.exists()


async def test_removing_follows_no_link_out(disks: LocalDisks, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    _, home = await made(disks, BLANK)
    (home / "link").symlink_to(precious)
    linked = spec(uuid=uuid4())
    (home.parent / str(linked.uuid)).symlink_to(precious)
    await disks.remove(linked.uuid)
    for uuid in (home.name,):
        await disks.remove(spec(uuid=uuid).uuid)
    assert (precious / "file").exists()
    assert list(home.parent.iterdir()) == []


async def test_what_isnt_a_uuid_cant_climb_out(disks: LocalDisks, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="UUID"):
        await disks.remove("../../images")  # type: ignore[arg-type]
    assert (tmp_path / "images").exists()


async def test_a_link_in_the_place_of_an_instances_directory_is_not_written_through(
    disks: LocalDisks, tmp_path: Path
) -> None:
    instance = spec(disks=[BLANK])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state" / "instances" / str(instance.uuid)).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable):
        await disks.make_directory(instance.uuid)


async def test_a_silent_fetch_after_the_disks_costs_nothing(disks: LocalDisks, image: Path) -> None:
    asked = source(image)
    await made(disks, image_disk("root", image=asked.model_dump()))
    with telemetry.measured() as shares:
        await disks.fetch(asked, silent)
    assert shares == {}
