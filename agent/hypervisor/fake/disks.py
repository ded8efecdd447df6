"""The fake's disks: tiny files of the right name, format and stated size; images are looked at for real.

Behind the `Disks` port. Names and rules are the real driver's own (`storage.layout`, `storage.spec_check`,
`storage.inspection`), but an image is never copied: the cache holds what was found out about it. Images come
from files only; http is Unsupported, because a fleet of make-believe hosts shall not download real ones.

    <state_dir>/images/<key>.json
    <state_dir>/instances/<uuid>/       as `storage.layout` has it
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from uuid import UUID

from agent.errors import InvalidRequest, NoCapacity, NotFound, OperationFailed, Unsupported
from agent.hypervisor.fake import qcow2
from agent.hypervisor.fake.faults import Gate, gated, halfway
from agent.hypervisor.fake.world import World, taking_room, write
from agent.hypervisor.ports import Progress
from agent.hypervisor.storage import layout, spec_check
from agent.hypervisor.storage.durable import part_of
from agent.hypervisor.storage.inspection import inspect
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.sources import is_remote, local_path
from agent.spec import AnyDisk, DiskFormat, Frozen, ImageSource, InstanceSpec, PluggedDisk

MIB = 1024 * 1024
CONFIG_DRIVE_BYTES = 64 * 1024
CHUNK = 4 * MIB


class Cached(Frozen):
    """What is known of an image; `size` in bytes, as the guest sees it."""

    format: DiskFormat
    size: int


class FakeDisks:
    port = "disks"

    def __init__(self, world: World, gate: Gate, state_dir: Path, allowed: AllowedPaths) -> None:
        self.gate = gate
        self.instances = state_dir / "instances"
        self._images = state_dir / "images"
        self._world = world
        self._allowed = allowed
        self.instances.mkdir(parents=True, exist_ok=True)
        self._images.mkdir(parents=True, exist_ok=True)

    def layout(self, spec: InstanceSpec) -> tuple[PluggedDisk, ...]:
        return layout.layout(spec, self.instances, direct_io=False)

    @gated
    async def check(self, spec: InstanceSpec) -> None:
        spec_check.check(spec, self._allowed)

    @gated
    async def fetch(self, image: ImageSource, progress: Progress) -> None:
        if is_remote(image.url):
            message = "the fake hypervisor takes images from file: URLs and paths only"
            raise Unsupported(message, details={"feature": "image.url"})
        source = self._allowed.resolve(local_path(image.url, "image.url"), "image.url")
        if not source.is_file():
            raise NotFound(f"no image at {source}")
        entry = self._cached(image)
        if not entry.exists():
            progress("fetch image", 0.0)
            found = await asyncio.to_thread(_examine, source, image)
            await halfway()
            write(entry, found.model_dump_json())
        progress("fetch image", 1.0)

    def _cached(self, image: ImageSource) -> Path:
        """The entry of this very file with these claims about it: changed bytes are another image."""
        try:
            stat = local_path(image.url, "image.url").stat()
        except FileNotFoundError:
            raise OperationFailed(f"the image at {image.url} is gone") from None
        facts = (image.url, image.format, image.checksum, stat.st_mtime_ns, stat.st_size)
        return self._images / f"{hashlib.sha256(repr(facts).encode()).hexdigest()}.json"

    @gated
    async def make_directory(self, uuid: UUID) -> None:
        with taking_room(self._directory(uuid)):
            self._directory(uuid).mkdir(exist_ok=True)

    def _directory(self, uuid: UUID) -> Path:
        return layout.instance_dir(self.instances, uuid)

    @gated
    async def create(self, spec: InstanceSpec, disk: AnyDisk) -> None:
        if disk.kind == "volume":
            raise OperationFailed(f"disk {disk.id} is a volume: it is connected, not made")
        path = layout.disk_path(self.instances, spec.uuid, disk)
        await self._make(path, layout.format_of(disk), self._size(spec, disk))

    def _size(self, spec: InstanceSpec, disk: AnyDisk) -> int:
        """Bytes."""
        if disk.kind == "volume":
            return 0
        if disk.kind != "image":
            return disk.size_mb * MIB
        try:
            least = Cached.model_validate_json(self._cached(disk.image).read_bytes()).size
        except FileNotFoundError:
            raise OperationFailed(f"the image of disk {disk.id} wasn't fetched") from None
        size = least if disk.size_mb is None else disk.size_mb * MIB
        if size < least:
            field = f"instance.disks[{spec.disks.index(disk)}].size_mb"
            problem = f"the image is larger: {-(-least // MIB)} MiB"
            raise InvalidRequest.field(field, problem, "give at least that")
        return size

    async def _make(self, path: Path, form: DiskFormat, size: int) -> None:
        if path.exists():
            return
        if not path.parent.is_dir():
            raise OperationFailed(f"the instance's directory {path.parent} isn't there")
        free = self._world.host.disk_mb * MIB - self.used_bytes()
        if size > free:
            message = f"{size // MIB} MiB of disk needed, {max(0, free) // MIB} MiB free"
            raise NoCapacity(message, details={"resource": "disk"})
        part = part_of(path)
        with taking_room(path):
            qcow2.make(part, form, size)
        await halfway()
        part.replace(path)

    @gated
    async def create_config_drive(self, spec: InstanceSpec) -> None:
        path = layout.config_drive_path(self.instances, spec.uuid)
        await self._make(path, DiskFormat.RAW, CONFIG_DRIVE_BYTES)

    @gated
    async def remove(self, uuid: UUID) -> None:
        directory = self._directory(uuid)
        if not directory.exists():
            return
        for path in sorted(directory.iterdir())[:1]:
            path.unlink()
        await halfway()
        shutil.rmtree(directory, ignore_errors=True)

    def used_bytes(self) -> int:
        """What all disks of this host were said to hold, taken as given away in full."""
        return sum(qcow2.stated_size(path) for path in self.instances.glob("*/*"))


def _examine(source: Path, image: ImageSource) -> Cached:
    """Blocking. Raises InvalidRequest when it isn't what it was said to be."""
    if image.checksum is not None:
        _need_checksum(source, image.checksum)
    return Cached(format=image.format, size=inspect(source, image.format, "image.format"))


def _need_checksum(source: Path, checksum: str) -> None:
    kind, _, wanted = checksum.partition(":")
    if kind not in ("sha256", "sha512"):
        raise InvalidRequest.field("image.checksum", "of an unknown kind", "use sha256: or sha512:")
    digest = hashlib.new(kind)
    with source.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != wanted.lower():
        raise InvalidRequest.field("image.checksum", "differs from that of the image", "send the right one")
