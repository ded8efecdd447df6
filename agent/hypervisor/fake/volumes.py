"""The fake's volumes: which are connected to this host, kept in the world.

Behind the `Volumes` port. Files are checked as the real driver checks them; a device only has to have an
allowed name, and a network server isn't asked whether it is there: a fake host has neither.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from agent.errors import InvalidRequest
from agent.hypervisor.fake.faults import Gate, gated, halfway
from agent.hypervisor.fake.world import World, write
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.volumes import DATA, HostVolumes
from agent.spec import FileVolume, LocalVolume, NbdVolume, PluggedDisk, VolumeConnection


class FakeVolumes:
    port = "volumes"

    def __init__(self, world: World, gate: Gate, allowed: AllowedPaths) -> None:
        self.gate = gate
        self._allowed = allowed
        self._real = HostVolumes(allowed)
        self._directory = world.root / "volumes"

    @gated
    async def connect(self, connection: VolumeConnection) -> PluggedDisk:
        plugged = await self._reach(connection)
        write(self._entry(connection), connection.target.model_dump_json())
        await halfway()
        return plugged

    async def _reach(self, connection: VolumeConnection) -> PluggedDisk:
        match connection.target:
            case FileVolume():
                return await self._real.connect(connection)
            case LocalVolume(device_path=path):
                self._allowed.resolve(path, f"{DATA}.device_path")
            case NbdVolume(socket=socket, host=host):
                if (socket is None) == (host is None):
                    raise InvalidRequest.field(DATA, "needs either socket or host", "give one of them")
        return self._real.describe(connection)

    def describe(self, connection: VolumeConnection) -> PluggedDisk:
        return self._real.describe(connection)

    @gated
    async def disconnect(self, connection: VolumeConnection) -> None:
        self._entry(connection).unlink(missing_ok=True)

    def _entry(self, connection: VolumeConnection) -> Path:
        # A volume's id comes from outside: its hash is a safe file name.
        return self._directory / f"{hashlib.sha256(connection.volume_id.encode()).hexdigest()}.json"
