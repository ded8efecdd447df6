"""The port `Disks`: an instance's disks, in one directory, made on this host.

The operations call this through `ports.Disks`; `service` makes it with `LocalDisks.open` and keeps `run`
alive beside the driver.

    create: <name> there? ──yes──> done before
               │ no
               v
            <name>.part made ──> written through, renamed to <name>

So a disk is whole or absent, and whatever was killed half-way is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import structlog

from agent.errors import AgentError, InvalidRequest
from agent.hypervisor.ports import Progress
from agent.hypervisor.storage import config_drive, durable, layout, qemu_img, spec_check
from agent.hypervisor.storage.blocking import in_thread, look
from agent.hypervisor.storage.capacity import MIB, direct_io_works_in, require_room
from agent.hypervisor.storage.faults import faults_as_errors
from agent.hypervisor.storage.filesystems import make_filesystem, make_swap
from agent.hypervisor.storage.images import Bounds, Images
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.store import Store
from agent.hypervisor.storage.web import Web
from agent.spec import (
    AnyDisk,
    BlankDisk,
    DiskFormat,
    EphemeralDisk,
    ImageDisk,
    ImageSource,
    InstanceSpec,
    PluggedDisk,
    SwapDisk,
)

log = structlog.get_logger(__name__)

# libvirt gives a disk to the user that QEMU runs as; until then it is nobody else's. That user needs to
# pass through the directories, not to list them.
DISK_MODE = 0o600
DIRECTORY_MODE = 0o711
CONFIG_DRIVE_ROOM = MIB


@dataclass(frozen=True, slots=True)
class DiskOptions:
    """What the host's owner decides. Sizes in bytes, times in seconds."""

    allowed_directories: tuple[Path, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    web: Web | None = None
    evict_every_s: float = 3600


class LocalDisks:
    """Disks as files under `<state_dir>/instances`, images under `<state_dir>/image-cache`."""

    def __init__(self, instances_dir: Path, images: Images, options: DiskOptions, *, direct_io: bool) -> None:
        self.instances_dir = instances_dir
        self._images = images
        self._options = options
        self._allowed = AllowedPaths(options.allowed_directories)
        self._direct_io = direct_io
        self._makers: dict[type[Any], Callable[[InstanceSpec, Any, Path], Awaitable[None]]] = {
            ImageDisk: self._make_overlay,
            BlankDisk: self._make_blank,
            EphemeralDisk: self._make_ephemeral,
            SwapDisk: self._make_swap,
        }

    @classmethod
    def open(cls, state_dir: Path, options: DiskOptions) -> Self:
        """Make the directories and clean away what a killed agent left. Blocking: call it once, at start.

        Raises Unavailable.
        """
        instances_dir = state_dir / "instances"
        with faults_as_errors(f"preparing {state_dir}"):
            durable.make_directory(instances_dir, DIRECTORY_MODE)
            store = Store(state_dir / "image-cache", instances_dir)
            store.prepare()
            direct_io = direct_io_works_in(instances_dir)
        allowed = AllowedPaths(options.allowed_directories)
        images = Images(store, allowed, options.web or Web(), options.bounds)
        return cls(instances_dir, images, options, direct_io=direct_io)

    async def run(self) -> None:
        """Remove unused images now and then, until cancelled; then end the downloads."""
        try:
            while True:
                await self._evict()
                await asyncio.sleep(self._options.evict_every_s)
        finally:
            await self._images.close()

    def layout(self, spec: InstanceSpec) -> tuple[PluggedDisk, ...]:
        return layout.layout(spec, self.instances_dir, self._direct_io)

    async def check(self, spec: InstanceSpec) -> None:
        await look(
            lambda: spec_check.check(spec, self._allowed), "looking at the images", *spec_check.places(spec)
        )

    async def fetch(self, image: ImageSource, progress: Progress) -> None:
        async with self._images.use(image, progress):
            pass

    async def make_directory(self, uuid: UUID) -> None:
        with faults_as_errors("making the instance's directory"):
            await in_thread(durable.make_directory, layout.instance_dir(self.instances_dir, uuid), DIRECTORY_MODE)

    async def create(self, spec: InstanceSpec, disk: AnyDisk) -> None:
        """Raises InvalidRequest when an image is larger than the disk wanted, besides what the port says."""
        maker = self._makers[type(disk)]
        await self._once(
            layout.disk_path(self.instances_dir, spec.uuid, disk), lambda part: maker(spec, disk, part)
        )

    async def create_config_drive(self, spec: InstanceSpec) -> None:
        async def make(part: Path) -> None:
            await self._require(CONFIG_DRIVE_ROOM)
            await in_thread(config_drive.write, spec, part)

        await self._once(layout.config_drive_path(self.instances_dir, spec.uuid), make)

    async def remove(self, uuid: UUID) -> None:
        with faults_as_errors("removing the instance's directory"):
            await in_thread(_remove_tree, layout.instance_dir(self.instances_dir, uuid))

    async def _once(self, path: Path, make: Callable[[Path], Awaitable[None]]) -> None:
        """Have `path` made under its part's name and published, unless it is there already."""
        part = durable.part_of(path)
        with faults_as_errors(f"making {path.name}"):
            if await in_thread(path.exists):
                return
            await in_thread(part.unlink, missing_ok=True)
            try:
                await make(part)
                await in_thread(durable.publish, part, path, DISK_MODE)
            finally:
                await in_thread(part.unlink, missing_ok=True)

    async def _make_overlay(self, spec: InstanceSpec, disk: ImageDisk, part: Path) -> None:
        async with self._images.use(disk.image, _silent) as image:
            least = image.about.virtual_size
            size = least if disk.size_mb is None else disk.size_mb * MIB
            if size < least:
                raise InvalidRequest.field(
                    f"instance.disks[{_place(spec, disk)}].size_mb",
                    f"the image is larger: {-(-least // MIB)} MiB",
                    "give at least that",
                )
            await self._require(0)
            await self._images.hold(image, part.parent, disk.id)
            await qemu_img.create_overlay(part, image.path, image.about.format, size)

    async def _make_blank(self, spec: InstanceSpec, disk: BlankDisk, part: Path) -> None:
        await self._make_empty(part, disk.format, disk.size_mb)

    async def _make_ephemeral(self, spec: InstanceSpec, disk: EphemeralDisk, part: Path) -> None:
        await self._make_empty(part, DiskFormat.RAW, disk.size_mb)
        await make_filesystem(part, disk.filesystem, disk.label)

    async def _make_swap(self, spec: InstanceSpec, disk: SwapDisk, part: Path) -> None:
        await self._make_empty(part, DiskFormat.RAW, disk.size_mb)
        await make_swap(part)

    async def _make_empty(self, part: Path, format: DiskFormat, size_mb: int) -> None:
        await self._require(size_mb * MIB if format is DiskFormat.RAW else 0)
        await qemu_img.create(part, format, size_mb * MIB)
        await in_thread(part.chmod, DISK_MODE)

    async def _require(self, need: int) -> None:
        await in_thread(require_room, self.instances_dir, need, self._options.bounds.reserve)

    async def _evict(self) -> None:
        try:
            if names := await self._images.evict():
                log.info("unused images removed from the cache", images=names)
        except AgentError as error:  # the next round tries again
            log.warning("the image cache can't be tidied", error=error.message)


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        # Never ours, and whatever it points to isn't either: only the link goes.
        path.unlink()
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)  # by file descriptors: a link put in its way isn't followed


def _place(spec: InstanceSpec, disk: AnyDisk) -> int:
    return next(place for place, other in enumerate(spec.disks) if other.id == disk.id)


def _silent(what: str, fraction: float) -> None:
    """Nobody watches: the image was fetched before, this is only the way to it."""
