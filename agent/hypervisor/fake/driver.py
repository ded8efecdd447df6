"""Puts the fake together: `service` calls `fake_driver` when `hypervisor.driver` is "fake"."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from agent.errors import Unavailable
from agent.hypervisor.doubts import Doubts, Patience
from agent.hypervisor.fake.disks import FakeDisks
from agent.hypervisor.fake.domains import FakeDomains
from agent.hypervisor.fake.faults import Gate
from agent.hypervisor.fake.host import FakeHost
from agent.hypervisor.fake.nics import FakeNics
from agent.hypervisor.fake.volumes import FakeVolumes
from agent.hypervisor.fake.watch import Watch
from agent.hypervisor.fake.world import World
from agent.hypervisor.ports import Hypervisor
from agent.hypervisor.storage.paths import AllowedPaths

SETTLING = Patience(quiet_s=0.0)
"""Calls run in the agent's process and end with it: none of an earlier run is under way."""


def fake_driver(
    state_dir: Path,
    *,
    hostname: str | None = None,
    allowed_directories: Sequence[Path] = (Path("/"),),
    call_timeout: float = 60.0,
    detach_timeout: float = 60.0,
    poll: float = 0.2,
    settling: Patience = SETTLING,
) -> Hypervisor:
    """The ports on the world in `<state_dir>/world`, made when it isn't there.

    `allowed_directories` is as in the storage settings. `call_timeout` and `detach_timeout` are in seconds,
    for calls whose caller has no earlier deadline. `poll`: seconds between looks at what others changed.
    `settling`: how long a call that was given up is waited for.
    """
    host = hostname or socket.gethostname()
    world = World(state_dir / "world", host)

    async def look(uuid: UUID) -> object:
        if world.down:
            raise Unavailable("the fake hypervisor is down")
        return world.get(uuid)

    gate = Gate(world, call_timeout, Doubts(look, settling))
    watch = Watch(world, poll)
    allowed = AllowedPaths(allowed_directories)
    disks = FakeDisks(world, gate, state_dir, allowed)
    return Hypervisor(
        domains=FakeDomains(world, gate, watch, disks.instances, detach_timeout),
        disks=disks,
        volumes=FakeVolumes(world, gate, allowed),
        nics=FakeNics(world, gate),
        host=FakeHost(world, gate, disks, host),
        observations=watch.observations,
        run=_run,
        instances_dir=disks.instances,
        given_up=gate.given_up,
        exhausted=gate.exhausted,
    )


async def _run() -> None:
    """Nothing to keep alive: the world is on disk, and who reads the observations looks for himself."""
    await asyncio.Event().wait()
