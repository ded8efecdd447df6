"""The fake hypervisor as a `World`: everybody else's hands are `control.FakeWorld`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.fake.faults import Fault
from agent.hypervisor.ports import Hypervisor, Kind
from agent.spec import (
    AnyDisk,
    FileVolume,
    ImageDisk,
    ImageSource,
    InstanceSpec,
    NbdVolume,
    VolumeConnection,
)
from tests.contract.world import SEEN_SERIAL, Observed


class FakeHost:
    """One state directory in /tmp, and the driver on it."""

    patience = 60.0
    moment = 0.5
    held = 0.5
    bridge = "br0"

    def __init__(self) -> None:
        self.keep: set[UUID] = set()
        self._root = Path(tempfile.mkdtemp(prefix="fake-world-"))
        self._state = self._root / "state"
        self.image_dir = self._root / "images"
        self.volume_dir = self._root / "volumes"
        self.outside = self._root / "elsewhere" / "image.qcow2"
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def hypervisor(self) -> Hypervisor:
        return self._hypervisor

    @property
    def observed(self) -> Observed:
        return self._observed

    async def start(self) -> None:
        for directory in (self.image_dir, self.volume_dir, self.outside.parent):
            directory.mkdir()
        self._hands = FakeWorld(self._state)
        self._hands.configure(boot_seconds=0.3, bridges=[self.bridge], networks=[])
        self._hands.make_image(self.outside)
        await self._start_driver()

    async def _start_driver(self) -> None:
        self._hypervisor = fake_driver(
            self._state, hostname="fake-1", allowed_directories=[self.image_dir, self.volume_dir]
        )
        self._observed = Observed()
        reading = self._observed.read(self._hypervisor.observations())
        self._tasks = [asyncio.create_task(self._hypervisor.run()), asyncio.create_task(reading)]
        await self._observed.until(lambda o: o.kind is Kind.LISTING, patience=self.patience)

    async def _stop_driver(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def stop(self) -> None:
        await self._stop_driver()
        shutil.rmtree(self._root)

    async def restart_driver(self) -> None:
        await self._stop_driver()
        await self._start_driver()

    @asynccontextmanager
    async def daemon_down(self) -> AsyncIterator[None]:
        self._hands.outage(True)
        try:
            yield
        finally:
            self._hands.outage(False)

    @asynccontextmanager
    async def daemon_deaf(self) -> AsyncIterator[None]:
        self._hands.faults.add(Fault(call="domains.*", hang=True))
        try:
            yield
        finally:
            self._hands.faults.clear("domains.*")

    @asynccontextmanager
    async def guest_deaf(self, uuid: UUID) -> AsyncIterator[None]:
        self._hands.faults.add(Fault(call="domains.pause", instance=uuid, hang=True))
        try:
            yield
        finally:
            self._hands.faults.clear("domains.pause")

    def spec(self) -> InstanceSpec:
        uuid = uuid4()
        return InstanceSpec(uuid=uuid, name=f"guest-{uuid}", vcpus=1, memory_mb=64)

    def bootable(self) -> InstanceSpec:
        root = ImageDisk(id="root", image=self.image(), serial="root")
        return self.spec().model_copy(update={"disks": (root,), "memory_mb": 128})

    def image(self) -> ImageSource:
        path = self.image_dir / f"{uuid4()}.qcow2"
        self._hands.make_image(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ImageSource.model_validate(
            {"url": path.as_uri(), "format": "qcow2", "checksum": f"sha256:{digest}"}
        )

    def file_volume(self) -> VolumeConnection:
        path = self.volume_dir / f"{uuid4()}.raw"
        path.write_bytes(bytes(1024 * 1024))
        return VolumeConnection(volume_id=str(uuid4()), target=FileVolume(path=path))

    def nbd_volume(self) -> VolumeConnection:
        target = NbdVolume(host="127.0.0.1", port=10809, export="volume")
        return VolumeConnection(volume_id=str(uuid4()), target=target)

    async def half_make(self, spec: InstanceSpec, disk: AnyDisk) -> Path:
        layout = {d.id: d.backing for d in self._hypervisor.disks.layout(spec)}
        backing = layout[disk.id]
        assert backing.type == "file"
        path = backing.path
        path.with_name(path.name + ".part").write_bytes(b"half a disk")
        return path

    async def wait_ready(self, uuid: UUID) -> None:
        async with asyncio.timeout(self.patience):
            while not self._up(uuid):
                await asyncio.sleep(0.02)

    def _up(self, uuid: UUID) -> bool:
        domain = self._hands.domains().get(uuid)
        return domain is not None and domain.live is not None and domain.live.booted

    async def guest_power_off(self, uuid: UUID) -> None:
        self._hands.guest_power_off(uuid)

    async def guest_reboot(self, uuid: UUID) -> None:
        self._hands.guest_reboot(uuid)

    async def guest_disks(self, uuid: UUID) -> frozenset[str]:
        return frozenset(serial[:SEEN_SERIAL] for serial in self._hands.guest_disks(uuid))

    async def guest_macs(self, uuid: UUID) -> frozenset[str]:
        return self._hands.guest_macs(uuid)

    async def kill(self, uuid: UUID) -> None:
        self._hands.kill(uuid)

    async def destroy(self, uuid: UUID) -> None:
        self._hands.destroy(uuid)

    async def suspend(self, uuid: UUID) -> None:
        self._hands.suspend(uuid)

    async def resume(self, uuid: UUID) -> None:
        self._hands.resume(uuid)

    async def undefine(self, uuid: UUID) -> None:
        self._hands.undefine(uuid)

    async def make_foreign(self, uuid: UUID, name: str) -> None:
        self._hands.make_foreign(uuid, name)

    async def make_of(self, spec: InstanceSpec, host: str | None) -> None:
        self._hands.make_of(spec, host)

    async def fingerprint(self, uuid: UUID) -> str | None:
        domain = self._hands.domains().get(uuid)
        return None if domain is None else domain.model_dump_json()

    async def clean(self) -> None:
        for uuid in self._hands.domains().keys() - self.keep:
            self._hands.remove(uuid)
        for directory in (self._state / "instances").iterdir():
            if UUID(directory.name) not in self.keep:
                shutil.rmtree(directory)
