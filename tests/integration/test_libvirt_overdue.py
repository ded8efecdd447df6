"""Starts that hang inside of libvirt, as many as the lane takes: other guests start meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import AgentError
from agent.hypervisor.libvirt.connection import WORKERS, Lane
from agent.spec import DiskBus, NbdBacking, PluggedDisk, PowerState
from tests.integration.libvirt_ground import PATIENCE, ground
from tests.rig.libvirtd import Libvirtd

USUAL_S = 2.0
"""What a start may take here before it is overdue."""


@dataclass
class DeafStorage:
    """Takes every client in and never says a word: QEMU waits for it before it has started."""

    port: int = 0
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def take(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        self.joined.set()

    async def until_waiting(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.clients) < number:
                self.joined.clear()
                await self.joined.wait()

    def hang_up(self) -> None:
        for client in self.clients:
            client.transport.abort()

    def disk(self, number: int) -> PluggedDisk:
        backing = NbdBacking(host="127.0.0.1", port=self.port)
        return PluggedDisk(id=f"deaf-{number}", bus=DiskBus.VIRTIO, backing=backing)


@asynccontextmanager
async def deaf_storage() -> AsyncIterator[DeafStorage]:
    storage = DeafStorage()
    server = await asyncio.start_server(storage.take, "127.0.0.1")
    storage.port = server.sockets[0].getsockname()[1]
    try:
        yield storage
    finally:
        server.close()
        storage.hang_up()


async def test_a_guest_starts_while_as_many_starts_hang_as_their_lane_takes(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    async with (
        ground(libvirtd, tmp_path, usual={Lane.START: USUAL_S}) as made,
        deaf_storage() as storage,
    ):
        number = WORKERS[Lane.START]
        sick = [await made.make(disks=(storage.disk(n),)) for n in range(number)]
        starts = [asyncio.create_task(made.domains.start(uuid)) for uuid in sick]
        await storage.until_waiting(number)
        well = await made.make()
        await asyncio.wait_for(made.domains.start(well), PATIENCE)
        assert (await made.power(well))[0] is PowerState.RUNNING
        assert not any(start.done() for start in starts)
        assert 1 <= made.libvirt.given_up().overdue <= number
        storage.hang_up()
        ends = await asyncio.wait_for(asyncio.gather(*starts, return_exceptions=True), PATIENCE)
        assert all(isinstance(end, AgentError) for end in ends), ends
        assert made.libvirt.given_up().overdue == made.libvirt.lost_ever == 0
