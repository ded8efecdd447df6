"""The fake's volumes: which are connected to this host, kept in the world.

Behind the `Volumes` port. Paths are checked as the real driver checks them; a network server isn't asked
whether it is there, for a fake host has no network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from agent.errors import InvalidRequest, NotFound
from agent.hypervisor.fake.faults import Gate, gated, halfway
from agent.hypervisor.fake.world import World, write
from agent.hypervisor.storage.inspection import inspect
from agent.hypervisor.storage.paths import AllowedPaths
from agent.spec import (
    Backing,
    BlockBacking,
    DiskBus,
    DiskFormat,
    FileBacking,
    FileVolume,
    LocalVolume,
    NbdBacking,
    NbdVolume,
    PluggedDisk,
    VolumeConnection,
)

FIELD = "connection_info.data"


class FakeVolumes:
    port = "volumes"

    def __init__(self, world: World, gate: Gate, allowed: AllowedPaths) -> None:
        self.gate = gate
        self._allowed = allowed
        self._directory = world.root / "volumes"

    @gated
    async def connect(self, connection: VolumeConnection) -> PluggedDisk:
        backing = self._backing(connection)
        write(self._entry(connection), connection.target.model_dump_json())
        await halfway()
        return PluggedDisk(
            id=connection.volume_id,
            bus=DiskBus.VIRTIO,
            backing=backing,
            serial=connection.volume_id,
            readonly=connection.access_mode == "ro",
            removable=True,
        )

    @gated
    async def disconnect(self, connection: VolumeConnection) -> None:
        self._entry(connection).unlink(missing_ok=True)

    def _entry(self, connection: VolumeConnection) -> Path:
        # A volume's id comes from outside: its hash is a safe file name.
        return self._directory / f"{hashlib.sha256(connection.volume_id.encode()).hexdigest()}.json"

    def _backing(self, connection: VolumeConnection) -> Backing:
        match connection.target:
            case LocalVolume(device_path=path):
                return BlockBacking(path=self._there(path, f"{FIELD}.device_path"))
            case FileVolume(path=path, format=form):
                there = self._there(path, f"{FIELD}.path")
                if form is DiskFormat.QCOW2:
                    inspect(there, form, f"{FIELD}.format")
                return FileBacking(path=there, format=form)
            case NbdVolume() as nbd:
                return _nbd(nbd)

    def _there(self, path: Path, field: str) -> Path:
        real = self._allowed.resolve(path, field)
        if not real.exists():
            raise NotFound(f"volume {real} isn't on this host")
        return real


def _nbd(nbd: NbdVolume) -> NbdBacking:
    if (nbd.socket is None) == (nbd.host is None):
        raise InvalidRequest.field(FIELD, "needs either a socket or a host", "give one of the two")
    return NbdBacking(host=nbd.host, port=nbd.port, socket=nbd.socket, export=nbd.export)
