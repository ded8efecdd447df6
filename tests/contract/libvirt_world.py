"""A private libvirtd as a `World`: real guests under QEMU; everybody else's hands are virsh and signals."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from agent.hypervisor.libvirt.driver import libvirt_driver
from agent.hypervisor.metadata import Metadata
from agent.hypervisor.ports import Hypervisor, Kind
from agent.settings import Hypervisor as HypervisorSettings
from agent.settings import Settings, Storage
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
from tests.e2e.freeze import qemu, stopped
from tests.rig.images import guest_image, overlay
from tests.rig.libvirtd import Libvirtd
from tests.rig.nbd import NbdExport
from tests.rig.network import Network
from tests.rig.places import rig_directory
from tests.rig.processes import RigError, run

MIB = 1024 * 1024


class LibvirtHost:
    """libvirtd, a bridge, an NBD server, and the driver on a state directory of its own."""

    patience = 120.0
    moment = 2.0
    held = 7.0

    def __init__(self) -> None:
        self.keep: set[UUID] = set()
        self._daemons = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def hypervisor(self) -> Hypervisor:
        return self._hypervisor

    @property
    def observed(self) -> Observed:
        return self._observed

    async def start(self) -> None:
        await asyncio.to_thread(self._start_daemons)
        await self._start_driver()

    def _start_daemons(self) -> None:
        self._root = self._daemons.enter_context(rig_directory())
        self._root.chmod(0o755)  # QEMU, as another user, passes through
        self._state = self._root / "state"
        self.image_dir = self._root / "images"
        self.volume_dir = self._root / "volumes"
        self.outside = self._root / "elsewhere" / "image.qcow2"
        for directory in (self.image_dir, self.volume_dir, self.outside.parent):
            directory.mkdir()
        self._libvirtd = self._daemons.enter_context(Libvirtd(self._root / "libvirt"))
        network = self._daemons.enter_context(Network(self._root / "network", dhcp=False))
        self.bridge = network.bridge
        export = self._root / "export.raw"
        export.write_bytes(bytes(MIB))
        self._nbd = self._daemons.enter_context(NbdExport(self._root / "nbd", export))
        self._image = self.image_dir / "guest.qcow2"
        # A whole image: one with a backing file is refused, and rightly.
        run("qemu-img", "convert", "-q", "-O", "qcow2", str(guest_image()), str(self._image))
        self._checksum = "sha256:" + hashlib.sha256(self._image.read_bytes()).hexdigest()
        overlay(self.outside, guest_image())

    @property
    def settings(self) -> Settings:
        return Settings(
            host="libvirt-1",
            state_dir=self._state,
            hypervisor=HypervisorSettings(uri=self._libvirtd.uri, virt_type="qemu"),
            storage=Storage(allowed_directories=(self.image_dir, self.volume_dir)),
        )

    async def _start_driver(self) -> None:
        self._state.mkdir(mode=0o711, exist_ok=True)
        self._hypervisor = await libvirt_driver(self.settings)
        self._observed = Observed()
        reading = self._observed.read(self._hypervisor.observations())
        self._tasks = [asyncio.create_task(self._hypervisor.run()), asyncio.create_task(reading)]
        await self._observed.until(lambda o: o.kind is Kind.LISTING, patience=self.patience)

    async def _stop_driver(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        await self._stop_driver()
        await asyncio.to_thread(self._daemons.close)

    async def restart_driver(self) -> None:
        await self._stop_driver()
        await self._start_driver()

    @asynccontextmanager
    async def daemon_down(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._libvirtd.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(self._libvirtd.start)

    @asynccontextmanager
    async def daemon_deaf(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._libvirtd.freeze)
        try:
            yield
        finally:
            await asyncio.to_thread(self._libvirtd.thaw)

    @asynccontextmanager
    async def guest_deaf(self, uuid: UUID) -> AsyncIterator[None]:
        with stopped(qemu(str(uuid))):
            yield

    def spec(self) -> InstanceSpec:
        uuid = uuid4()
        return InstanceSpec(uuid=uuid, name=f"guest-{uuid}", vcpus=1, memory_mb=32)

    def bootable(self) -> InstanceSpec:
        root = ImageDisk(id="root", image=self.image(), serial="root")
        return self.spec().model_copy(update={"disks": (root,), "memory_mb": 128})

    def image(self) -> ImageSource:
        """Always the same file: fetching it anew for each guest would take a second each time."""
        return ImageSource.model_validate(
            {"url": self._image.as_uri(), "format": "qcow2", "checksum": self._checksum}
        )

    def file_volume(self) -> VolumeConnection:
        path = self.volume_dir / f"{uuid4()}.raw"
        path.write_bytes(bytes(MIB))
        return VolumeConnection(volume_id=str(uuid4()), target=FileVolume(path=path))

    def nbd_volume(self) -> VolumeConnection:
        target = NbdVolume(host=self._nbd.host, port=self._nbd.port, export=self._nbd.name)
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
            while not await self._is_ready(uuid):
                await asyncio.sleep(0.1)

    async def _is_ready(self, uuid: UUID) -> bool:
        """Its own word, and the console's: a line it wrote gets through QEMU and virtlogd a moment later."""
        try:
            told = await self._inside(uuid, "cat /run/ready")
        except RigError:  # nobody answers yet
            return False
        console = await self._hypervisor.domains.console_output(uuid, 1_000_000)
        up = told.partition(" disks=")[0]  # with its uptime: the line of this boot
        return up.startswith("GUEST-READY") and up.encode() in console

    async def _inside(self, uuid: UUID, script: str, *, wait: bool = True) -> str:
        """What a shell in the guest says; through the guest agent."""
        asked = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        pid = (await self._agent(uuid, "guest-exec", asked))["pid"]
        while wait:
            status = await self._agent(uuid, "guest-exec-status", {"pid": pid})
            if status["exited"]:
                return base64.b64decode(status.get("out-data", "")).decode()
            await asyncio.sleep(0.05)
        return ""

    async def _agent(self, uuid: UUID, command: str, arguments: dict[str, object]) -> dict[str, Any]:
        text = json.dumps({"execute": command, "arguments": arguments})
        answer = await self._virsh("qemu-agent-command", str(uuid), text, "--timeout", "25")
        found: dict[str, Any] = json.loads(answer)["return"]
        return found

    async def _virsh(self, *arguments: str) -> str:
        return await asyncio.to_thread(self._libvirtd.virsh, *arguments)

    async def guest_power_off(self, uuid: UUID) -> None:
        await self._inside(uuid, "poweroff", wait=False)

    async def guest_reboot(self, uuid: UUID) -> None:
        await self._inside(uuid, "reboot", wait=False)

    async def guest_disks(self, uuid: UUID) -> frozenset[str]:
        said = await self._inside(uuid, "for f in /sys/block/*/serial; do cat $f; echo; done 2>/dev/null")
        return frozenset(line.strip()[:SEEN_SERIAL] for line in said.splitlines() if line.strip())

    async def guest_macs(self, uuid: UUID) -> frozenset[str]:
        said = await self._inside(uuid, "cat /sys/class/net/*/address")
        return frozenset(said.split()) - {"00:00:00:00:00:00"}

    async def kill(self, uuid: UUID) -> None:
        """Without asking libvirtd, which may be dead itself."""
        with contextlib.suppress(LookupError, ProcessLookupError):
            while True:  # until it is gone: what has ended has no arguments any more
                os.kill(qemu(str(uuid)), signal.SIGKILL)
                await asyncio.sleep(0.01)

    async def destroy(self, uuid: UUID) -> None:
        await self._virsh("destroy", str(uuid))

    async def suspend(self, uuid: UUID) -> None:
        await self._virsh("suspend", str(uuid))

    async def resume(self, uuid: UUID) -> None:
        await self._virsh("resume", str(uuid))

    async def undefine(self, uuid: UUID) -> None:
        await self._virsh("undefine", str(uuid))

    async def make_foreign(self, uuid: UUID, name: str) -> None:
        await self._run(uuid, name, "")

    async def make_of(self, spec: InstanceSpec, host: str | None) -> None:
        about = Metadata(host=host, generation=3, spec_json=spec.model_dump_json())
        await self._run(spec.uuid, spec.name, f"<metadata>{about.to_xml()}</metadata>")

    async def _run(self, uuid: UUID, name: str, about: str) -> None:
        text = (
            f"<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>"
            f"{about}<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        )
        file = self._root / f"{uuid}.xml"
        file.write_text(text)
        await self._virsh("define", str(file))
        await self._virsh("start", str(uuid))

    async def fingerprint(self, uuid: UUID) -> str | None:
        try:
            texts = [await self._virsh("dumpxml", str(uuid), *more) for more in ([], ["--inactive"])]
            return "".join(texts) + await self._virsh("domstate", str(uuid), "--reason")
        except RigError:
            return None

    async def clean(self) -> None:
        keep = {str(uuid) for uuid in self.keep}
        for uuid in (await self._virsh("list", "--all", "--uuid")).split():
            if uuid not in keep:
                await self._remove(uuid)
        for directory in (self._state / "instances").iterdir():
            if directory.name not in keep:
                await asyncio.to_thread(shutil.rmtree, directory)

    async def _remove(self, uuid: str) -> None:
        with contextlib.suppress(RigError):  # it isn't running
            await self._virsh("destroy", uuid)
        with contextlib.suppress(RigError):  # it was transient
            await self._virsh("undefine", uuid, "--managed-save", "--nvram")
