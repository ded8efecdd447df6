"""What a fake host says of itself: its size from `host.json`, its use from the world. Behind `Host`."""

from __future__ import annotations

import platform

from agent.hypervisor.fake.disks import MIB, FakeDisks
from agent.hypervisor.fake.faults import Gate, gated
from agent.hypervisor.fake.world import World
from agent.hypervisor.ports import HostView


class FakeHost:
    port = "host"

    def __init__(self, world: World, gate: Gate, disks: FakeDisks, hostname: str) -> None:
        self.gate = gate
        self._world = world
        self._disks = disks
        self._hostname = hostname

    @gated
    async def describe(self) -> HostView:
        host = self._world.host
        domains = self._world.all().values()
        ours = [d for d in domains if self._world.is_ours(d)]
        active = [d.spec for d in ours if d.active and d.spec]
        return HostView(
            hostname=self._hostname,
            hypervisor_type="fake",
            hypervisor_version="1.0",
            virt_type="fake",
            arch=platform.machine(),
            cpu_model=host.cpu_model,
            vcpus=host.vcpus,
            vcpus_used=sum(s.vcpus for s in active),
            memory_mb=host.memory_mb,
            memory_mb_used=sum(s.memory_mb for s in active),
            disk_mb=host.disk_mb,
            disk_mb_free=max(0, host.disk_mb - self._disks.used_bytes() // MIB),
            instances=len(ours),
        )
