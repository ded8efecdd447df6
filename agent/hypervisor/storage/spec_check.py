"""What can be said against a spec's disks before anything is begun: a list of checks, one per concern.

`disks.LocalDisks.check` and `plan` run them all. They look at the host (does the image's file exist?) but
change nothing. Volumes are `volumes`' concern.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from agent.errors import InvalidRequest
from agent.hypervisor.storage import config_drive
from agent.hypervisor.storage.filesystems import check_label
from agent.hypervisor.storage.layout import CONFIG_DRIVE, SAFE_ID
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.sources import LocalFile, is_remote, local_path
from agent.spec import AnyDisk, EphemeralDisk, ImageDisk, InstanceSpec, VolumeDisk


def check(spec: InstanceSpec, allowed: AllowedPaths) -> None:
    """Raises InvalidRequest naming the field. Blocking: it looks at files."""
    check_ids(spec)
    for place, disk in enumerate(spec.disks):
        _check_disk(disk, f"instance.disks[{place}]", allowed)
    if spec.config_drive is not None:
        config_drive.tree(spec, seed=b"")


def places(spec: InstanceSpec) -> tuple[Path, ...]:
    """Where on this host `check` looks. Pure; what is no path is the check's to say."""
    found = []
    for disk in spec.disks:
        if isinstance(disk, ImageDisk) and not is_remote(disk.image.url):
            with contextlib.suppress(InvalidRequest):
                found.append(local_path(disk.image.url, ""))
    return tuple(found)


def check_ids(spec: InstanceSpec) -> None:
    """Ids become file names and aliases: safe, and each its own. Pure."""
    seen: set[str] = {CONFIG_DRIVE}
    for place, disk in enumerate(spec.disks):
        field = f"instance.disks[{place}].id"
        if not SAFE_ID.fullmatch(disk.id):
            raise InvalidRequest.field(field, "not usable as a file name", "use letters, digits, '.', '_' and '-'")
        if disk.id in seen:
            raise InvalidRequest.field(field, f"{disk.id} is taken", "give each disk an id of its own")
        seen.add(disk.id)


def _check_disk(disk: AnyDisk, field: str, allowed: AllowedPaths) -> None:
    if isinstance(disk, VolumeDisk):
        return
    if disk.size_mb is not None and disk.size_mb < 1:
        raise InvalidRequest.field(f"{field}.size_mb", "not a size", "give 1 MiB or more")
    if isinstance(disk, ImageDisk):
        _check_image(disk, f"{field}.image", allowed)
    if isinstance(disk, EphemeralDisk):
        check_label(disk, f"{field}.label")


def _check_image(disk: ImageDisk, field: str, allowed: AllowedPaths) -> None:
    image = disk.image
    if image.checksum is not None:
        _check_checksum(image.checksum, f"{field}.checksum")
    if not is_remote(image.url):
        LocalFile(image.url, allowed, f"{field}.url").check()
    elif image.checksum is None and not image.url.startswith("https:"):
        raise InvalidRequest.field(f"{field}.checksum", "missing for an http image", "give a checksum")


HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX: Callable[[str], bool] = frozenset("0123456789abcdef").issuperset


def _check_checksum(checksum: str, field: str) -> None:
    algorithm, _, digest = checksum.partition(":")
    if len(digest) != HEX_LENGTH.get(algorithm) or not _HEX(digest):
        raise InvalidRequest.field(field, "not a checksum", "give sha256:<hex> or sha512:<hex>, lower case")
