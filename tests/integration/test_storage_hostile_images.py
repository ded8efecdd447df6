"""Images made to show a guest what isn't its own, or to make the host stumble: none gets into the cache."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import InvalidRequest
from agent.hypervisor.storage.disks import LocalDisks
from agent.spec import ImageSource
from tests.integration.storage_ground import MIB, cached, open_disks, qcow2, qemu_img, silent


@pytest.fixture
def disks(tmp_path: Path) -> LocalDisks:
    return open_disks(tmp_path)


def with_backing_file(path: Path) -> None:
    qemu_img("create", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", path, "8M")


def with_data_file(path: Path) -> None:
    data = path.with_name("data")
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", path, "8M")


def with_unknown_feature(path: Path) -> None:
    qcow2(path)
    patch(path, 72, struct.pack(">Q", 1 << 40))


def of_an_unknown_version(path: Path) -> None:
    qcow2(path)
    patch(path, 4, struct.pack(">I", 9))


def cut_within_its_data(path: Path) -> None:
    qcow2(path, data_mib=4)
    truncate(path, MIB)


def cut_within_its_header(path: Path) -> None:
    qcow2(path)
    truncate(path, 600)


def cut_to_a_stub(path: Path) -> None:
    qcow2(path)
    truncate(path, 100)


def with_a_wild_table(path: Path) -> None:
    """The table of tables lies far outside of the file."""
    qcow2(path)
    patch(path, 40, struct.pack(">Q", 1 << 50))


def encrypted(path: Path) -> None:
    """Nobody here has the key: a guest on it would never start."""
    qcow2(path)
    patch(path, 32, struct.pack(">I", 1))


def that_is_also_an_iso(path: Path) -> None:
    qcow2(path)
    patch(path, 0x8000, b"\x01CD001\x01")


def that_is_also_a_partition_table(path: Path) -> None:
    qcow2(path)
    patch(path, 510, b"\x55\xaa")


def vmdk(path: Path) -> None:
    qemu_img("create", "-f", "vmdk", path, "8M")


def flat_vmdk(path: Path) -> None:
    """A text that names another file of the host as its content."""
    path.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        'RW 16384 FLAT "/etc/shadow" 0\n' + "\n" * 2048
    )


def vdi(path: Path) -> None:
    qemu_img("create", "-f", "vdi", path, "8M")


def vhdx(path: Path) -> None:
    qemu_img("create", "-f", "vhdx", path, "8M")


def qed(path: Path) -> None:
    qemu_img("create", "-f", "qed", "-u", "-b", "/etc/shadow", "-F", "raw", path, "8M")


def luks(path: Path) -> None:
    path.write_bytes(b"LUKS\xba\xbe\x00\x01" + bytes(MIB))


def iso(path: Path) -> None:
    path.write_bytes(bytes(0x8000) + b"\x01CD001\x01" + bytes(MIB))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no disk\n" * 1000)


def patch(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


AS_QCOW2 = [
    with_backing_file,
    with_data_file,
    with_unknown_feature,
    of_an_unknown_version,
    cut_within_its_data,
    cut_within_its_header,
    cut_to_a_stub,
    with_a_wild_table,
    encrypted,
    that_is_also_an_iso,
    that_is_also_a_partition_table,
    vmdk,
    flat_vmdk,
    vdi,
    vhdx,
    qed,
    luks,
    iso,
    empty,
    text,
]
# The last is a sound raw disk: nobody can say that it isn't.
AS_RAW = [qcow2, *AS_QCOW2[:-1]]


@pytest.mark.parametrize("make", AS_QCOW2, ids=lambda make: make.__name__)
async def test_it_is_refused_as_qcow2_and_nothing_is_left(
    disks: LocalDisks, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    await refused(disks, tmp_path, make, "qcow2")


@pytest.mark.parametrize("make", AS_RAW, ids=lambda make: make.__name__)
async def test_it_is_refused_as_raw_and_nothing_is_left(
    disks: LocalDisks, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    await refused(disks, tmp_path, make, "raw")


async def refused(disks: LocalDisks, tmp_path: Path, make: Callable[[Path], object], form: str) -> None:
    path = tmp_path / "images" / "bad"
    make(path)
    with pytest.raises(InvalidRequest) as caught:
        await disks.fetch(ImageSource.model_validate({"url": str(path), "format": form}), silent)
    (field,) = caught.value.details["fields"]
    assert field["path"] in {"image.format", "image.url"}
    assert field["mend"]
    assert cached(tmp_path / "state") == []


async def test_sound_images_are_taken(disks: LocalDisks, tmp_path: Path) -> None:
    images = tmp_path / "images"
    qcow2(images / "a.qcow2")
    qemu_img("create", "-f", "qcow2", "-o", "compat=0.10", images / "old.qcow2", "8M")
    qemu_img("convert", "-c", "-f", "qcow2", "-O", "qcow2", images / "a.qcow2", images / "packed.qcow2")
    qemu_img("create", "-f", "raw", images / "empty.raw", "8M")
    subprocess.run(
        ["sfdisk", "-q", images / "empty.raw"], input=b"label: gpt\n,4M\n", check=True, capture_output=True
    )
    text(images / "any.raw")
    for path in images.iterdir():
        await disks.fetch(ImageSource.model_validate({"url": str(path), "format": path.suffix[1:]}), silent)
    assert len(cached(tmp_path / "state")) == 5
