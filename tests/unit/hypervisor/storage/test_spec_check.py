from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.errors import InvalidRequest
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.spec_check import check
from tests.unit.hypervisor.storage.specs import SHA256, image_disk, interface, spec, volume_disk

BLANK = {"kind": "blank", "id": "data", "size_mb": 1}
EPHEMERAL = {"kind": "ephemeral", "id": "scratch", "size_mb": 1}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.img").write_bytes(bytes(512))
    (tmp_path / "images" / "directory").mkdir()
    return tmp_path / "images"


def image(url: str, checksum: str | None = None) -> dict[str, Any]:
    return image_disk(image={"url": url, "format": "raw", "checksum": checksum})


def refused(images: Path, **more: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        check(spec(**more), AllowedPaths([images]))
    path: str = caught.value.details["fields"][0]["path"]
    return path


def test_a_sound_spec_passes(images: Path) -> None:
    disks = (
        image_disk(),
        image(str(images / "a.img")) | {"id": "two"},
        image((images / "a.img").as_uri()) | {"id": "three"},
        image("https://h/a.img") | {"id": "four"},
        volume_disk(),
        BLANK,
        EPHEMERAL,
        {"kind": "swap", "id": "swap", "size_mb": 1},
    )
    check(spec(disks=disks, config_drive={}, interfaces=[interface()]), AllowedPaths([images]))


@pytest.mark.parametrize(
    ("disk", "field"),
    [
        ({**BLANK, "size_mb": 0}, "size_mb"),
        ({**BLANK, "size_mb": -5}, "size_mb"),
        ({**BLANK, "id": "../x"}, "id"),
        ({**BLANK, "id": "config"}, "id"),
        ({**BLANK, "id": "root"}, "id"),
        ({**EPHEMERAL, "label": "x" * 17}, "label"),
        ({**EPHEMERAL, "label": "-x"}, "label"),
        ({**EPHEMERAL, "label": "twelve-bytes", "filesystem": "vfat"}, "label"),
        (image("/etc/passwd") | {"id": "b"}, "image.url"),
        (image("ftp://h/a", SHA256) | {"id": "b"}, "image.url"),
        (image("http://h/a") | {"id": "b"}, "image.checksum"),
        (image("https://h/a", "sha256:xyz") | {"id": "b"}, "image.checksum"),
        (image("https://h/a", "md5:" + "0" * 32) | {"id": "b"}, "image.checksum"),
        (image("https://h/a", "sha256:" + "A" * 64) | {"id": "b"}, "image.checksum"),
    ],
)
def test_what_is_wrong_with_a_disk_is_named_by_its_place(images: Path, disk: dict[str, Any], field: str) -> None:
    assert refused(images, disks=[image_disk("root"), disk]) == f"instance.disks[1].{field}"


@pytest.mark.parametrize("name", ["missing.img", "directory"])
def test_an_image_that_isnt_there_or_is_no_file_is_refused(images: Path, name: str) -> None:
    assert refused(images, disks=[image(str(images / name))]) == "instance.disks[0].image.url"


def test_what_the_config_drive_couldnt_say_is_found_before_it_is_made(images: Path) -> None:
    broken = interface(fixed_ips=[{"address": "nowhere"}])
    assert refused(images, config_drive={}, interfaces=[broken]).startswith("instance.interfaces[0]")
