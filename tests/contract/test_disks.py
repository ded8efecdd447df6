"""The disks made on this host: names first, whole or not at all, and no image that isn't what it says."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from uuid import UUID

import pytest

from agent.errors import InvalidRequest, NotFound
from agent.hypervisor.ports import Disks
from agent.spec import (
    BlankDisk,
    ConfigDrive,
    DiskFormat,
    EphemeralDisk,
    FileBacking,
    ImageDisk,
    ImageSource,
    InstanceSpec,
    PluggedDisk,
    SwapDisk,
    VolumeDisk,
)
from tests.contract.world import World, made

pytestmark = pytest.mark.timeout(120)


def silent(what: str, share: float) -> None:
    """Progress that nobody watches."""


def disks(world: World) -> Disks:
    return world.hypervisor.disks


def with_every_kind(world: World) -> InstanceSpec:
    kinds = (
        VolumeDisk(id="volume", connection=world.file_volume()),
        ImageDisk(id="root", image=world.image()),
        BlankDisk(id="blank", size_mb=8),
        BlankDisk(id="raw", size_mb=8, format=DiskFormat.RAW),
        EphemeralDisk(id="scratch", size_mb=8),
        SwapDisk(id="swap", size_mb=8),
    )
    return world.spec().model_copy(update={"disks": kinds, "config_drive": ConfigDrive(hostname="h")})


def path_of(disk: PluggedDisk) -> Path:
    assert isinstance(disk.backing, FileBacking)
    return disk.backing.path


def directory(world: World, uuid: UUID) -> Path:
    return world.hypervisor.instances_dir / str(uuid)


def file_image(world: World, name: str, content: bytes, **claims: str) -> ImageSource:
    path = world.image_dir / name
    path.write_bytes(content)
    return ImageSource.model_validate({"url": path.as_uri(), "format": "qcow2", **claims})


def bytes_of(image: ImageSource) -> bytes:
    return Path(image.url.removeprefix("file://")).read_bytes()


async def test_the_layout_names_everything_before_anything_is_made(world: World) -> None:
    spec = with_every_kind(world)
    laid = disks(world).layout(spec)
    assert laid == disks(world).layout(spec)
    assert [disk.id for disk in laid[:-1]] == ["root", "blank", "raw", "scratch", "swap"]
    assert laid[-1].readonly
    assert {path_of(disk).parent for disk in laid} == {directory(world, spec.uuid)}
    assert len({path_of(disk) for disk in laid}) == len(laid)
    assert not directory(world, spec.uuid).exists()


async def test_what_is_made_lies_where_the_layout_said_and_nothing_else_is_left(world: World) -> None:
    spec = await made(world, with_every_kind(world))
    for disk in disks(world).layout(spec):
        assert path_of(disk).is_file()
    assert list(directory(world, spec.uuid).glob("*.part")) == []


async def test_a_finished_disk_is_kept_when_it_is_made_again(world: World) -> None:
    spec = await made(world, with_every_kind(world))
    paths = [path_of(disk) for disk in disks(world).layout(spec)]
    before = [(p.stat().st_ino, p.stat().st_mtime_ns) for p in paths]
    await made(world, spec)
    assert [(p.stat().st_ino, p.stat().st_mtime_ns) for p in paths] == before


async def test_a_half_made_disk_is_made_anew(world: World) -> None:
    spec = world.bootable()
    await disks(world).make_directory(spec.uuid)
    path = await world.half_make(spec, spec.disks[0])
    left = set(directory(world, spec.uuid).iterdir())
    assert left
    assert not path.exists()
    await made(world, spec)
    assert path.read_bytes()[:4] == b"QFI\xfb"
    assert list(directory(world, spec.uuid).glob("*.part")) == []


async def test_an_overlay_is_grown_to_the_size_asked_for(world: World) -> None:
    big = ImageDisk(id="root", image=world.image(), size_mb=2048)
    spec = await made(world, world.spec().model_copy(update={"disks": (big,)}))
    header = path_of(disks(world).layout(spec)[0]).read_bytes()[:32]
    assert struct.unpack(">Q", header[24:32])[0] == 2048 * 1024 * 1024


async def test_a_disk_smaller_than_its_image_is_refused_and_nothing_is_left(world: World) -> None:
    small = ImageDisk(id="root", image=world.image(), size_mb=1)
    spec = world.spec().model_copy(update={"disks": (small,)})
    with pytest.raises(InvalidRequest, match="size_mb"):
        await made(world, spec)
    assert list(directory(world, spec.uuid).glob("root.qcow2*")) == []


async def test_removing_takes_all_of_one_instance_and_nothing_of_another(world: World) -> None:
    spec, other = await made(world, with_every_kind(world)), await made(world, with_every_kind(world))
    for _ in range(2):
        await disks(world).remove(spec.uuid)
        assert not directory(world, spec.uuid).exists()
    assert all(path_of(disk).is_file() for disk in disks(world).layout(other))


async def test_making_the_directory_twice_is_fine(world: World) -> None:
    spec = world.spec()
    for _ in range(2):
        await disks(world).make_directory(spec.uuid)
        assert directory(world, spec.uuid).is_dir()


async def test_the_progress_of_a_fetch_never_goes_back(world: World) -> None:
    image, told = world.image(), list[float]()
    await disks(world).fetch(image, lambda what, share: told.append(share))
    assert told == sorted(told)
    assert all(0.0 <= share <= 1.0 for share in told)


async def test_an_image_that_vanished_isnt_found(world: World) -> None:
    image = ImageSource(url=(world.image_dir / "absent.qcow2").as_uri(), format=DiskFormat.QCOW2)
    with pytest.raises(NotFound):
        await disks(world).fetch(image, silent)


async def test_a_wrong_checksum_is_refused(world: World) -> None:
    image = world.image().model_copy(update={"checksum": "sha256:" + "0" * 64})
    with pytest.raises(InvalidRequest, match="checksum"):
        await disks(world).fetch(image, silent)


async def test_a_sha512_checksum_is_understood(world: World) -> None:
    image = world.image()
    digest = hashlib.sha512(bytes_of(image)).hexdigest()
    await disks(world).fetch(image.model_copy(update={"checksum": f"sha512:{digest}"}), silent)


async def test_an_image_changed_after_it_was_fetched_is_examined_again(world: World) -> None:
    image = file_image(world, "changes.qcow2", bytes_of(world.image()))
    await disks(world).fetch(image, silent)
    file_image(world, "changes.qcow2", b"no image any more".ljust(4096, b"."))
    with pytest.raises(InvalidRequest):
        await disks(world).fetch(image, silent)


async def test_raw_bytes_declared_qcow2_are_refused(world: World) -> None:
    image = file_image(world, "raw.qcow2", bytes(1024 * 1024))
    with pytest.raises(InvalidRequest, match="format"):
        await disks(world).fetch(image, silent)


async def test_a_qcow2_declared_raw_is_refused(world: World) -> None:
    image = file_image(world, "qcow2.raw", bytes_of(world.image()), format="raw")
    with pytest.raises(InvalidRequest, match="format"):
        await disks(world).fetch(image, silent)


@pytest.mark.parametrize("declared", ["qcow2", "raw"])
async def test_a_truncated_qcow2_is_refused(world: World, declared: str) -> None:
    image = file_image(world, "cut.img", bytes_of(world.image())[:100], format=declared)
    with pytest.raises(InvalidRequest, match="format"):
        await disks(world).fetch(image, silent)


async def test_a_qcow2_with_a_backing_file_is_refused(world: World) -> None:
    content = bytearray(bytes_of(world.image()))
    content[8:20] = struct.pack(">QI", 256, len(b"/etc/passwd"))
    content[256 : 256 + 11] = b"/etc/passwd"
    image = file_image(world, "backed.qcow2", bytes(content))
    with pytest.raises(InvalidRequest, match="backing file"):
        await disks(world).fetch(image, silent)


async def test_a_source_that_isnt_there_is_refused_before_anything_is_made(world: World) -> None:
    image = ImageSource(url=(world.image_dir / "absent.qcow2").as_uri(), format=DiskFormat.QCOW2)
    spec = world.spec().model_copy(update={"disks": (ImageDisk(id="root", image=image),)})
    with pytest.raises(InvalidRequest, match=r"image\.url"):
        await disks(world).check(spec)


async def test_a_source_outside_the_allowed_directories_is_refused(world: World) -> None:
    link = world.image_dir / "link.qcow2"
    link.unlink(missing_ok=True)
    link.symlink_to(world.outside)
    climbing = world.image_dir / ".." / world.outside.parent.name / world.outside.name
    for path in (world.outside, link, climbing):
        image = ImageSource(url=f"file://{path}", format=DiskFormat.QCOW2)
        spec = world.spec().model_copy(update={"disks": (ImageDisk(id="root", image=image),)})
        with pytest.raises(InvalidRequest, match=r"image\.url"):
            await disks(world).check(spec)
        with pytest.raises(InvalidRequest, match=r"image\.url"):
            await disks(world).fetch(image, silent)


async def test_a_spec_whose_sources_are_there_passes(world: World) -> None:
    await disks(world).check(with_every_kind(world))
