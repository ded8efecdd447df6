"""Ground for libvirt tests: the driver's own parts on a private libvirtd, with guests that never boot."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from agent.hypervisor.doubts import Phase
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.libvirt.connection import USUAL, Access, Lane, Libvirt
from agent.hypervisor.libvirt.domains import LibvirtDomains
from agent.hypervisor.libvirt.news import News
from agent.hypervisor.libvirt.threads import Late
from agent.hypervisor.libvirt.watch import Watch
from agent.hypervisor.ports import Guest, Kind
from agent.spec import Graphics, InstanceSpec, PluggedDisk, PowerState
from tests.contract.world import Observed
from tests.rig.libvirtd import Libvirtd
from tests.rig.processes import RigError

PATIENCE = 60.0


NOTICED_LATE = 10
"""As `keepalive_s`: for tests in which something else than keepalive ends a call into a frozen libvirtd."""


def open_libvirt(
    libvirtd: Libvirtd,
    late: list[Late] | None = None,
    usual: Mapping[Lane, float] = USUAL,
    keepalive_s: int = 1,
) -> Libvirt:
    """Notices a dead peer after about three times `keepalive_s`."""
    access = Access(libvirtd.uri, keepalive_interval_s=keepalive_s, keepalive_count=2)
    return Libvirt(access, usual=usual, on_late=(late if late is not None else []).append)


def spec(**more: object) -> InstanceSpec:
    """The least guest: runs, and never boots."""
    uuid = uuid4()
    facts = {"uuid": uuid, "name": f"guest-{uuid}", "vcpus": 1, "memory_mb": 32, "graphics": Graphics(type="none")}
    return InstanceSpec.model_validate(facts | more)


@dataclass
class Ground:
    """The ports of the guests and the watch, on one libvirtd."""

    libvirtd: Libvirtd
    directory: Path
    libvirt: Libvirt
    domains: LibvirtDomains
    watch: Watch
    observed: Observed = field(default_factory=Observed)

    async def make(self, wanted: InstanceSpec | None = None, disks: tuple[PluggedDisk, ...] = ()) -> UUID:
        """Defined, not running."""
        wanted = wanted or spec()
        (self.directory / str(wanted.uuid)).mkdir(exist_ok=True)
        await self.domains.define(Guest(spec=wanted, disks=disks, generation=1, request_id="ground"))
        return wanted.uuid

    async def run(self, wanted: InstanceSpec | None = None) -> UUID:
        uuid = await self.make(wanted)
        await self.domains.start(uuid)
        return uuid

    async def begun(self, uuid: UUID) -> None:
        """Until a change of the guest is no longer to be called back: it is asked of libvirt now."""
        changes = self.domains._doubts._changes
        async with asyncio.timeout(PATIENCE):
            while not any(change._phase is Phase.RUNNING for change in changes.get(uuid, ())):
                await asyncio.sleep(0.005)

    async def virsh(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.libvirtd.virsh, *arguments)

    async def power(self, uuid: UUID) -> tuple[PowerState, str]:
        view = await self.domains.get(uuid)
        return view.power_state, view.reason

    async def seen(self, uuid: UUID, state: PowerState, since: int = 0) -> None:
        await self.observed.until(
            lambda o: (o.kind, o.uuid, o.state) == (Kind.POWER, uuid, state), since=since, patience=PATIENCE
        )

    async def seen_kind(self, kind: Kind, since: int = 0) -> None:
        await self.observed.until(lambda o: o.kind is kind, since=since, patience=PATIENCE)


@asynccontextmanager
async def ground(
    libvirtd: Libvirtd,
    directory: Path,
    *,
    watching: bool = True,
    usual: Mapping[Lane, float] = USUAL,
    keepalive_s: int = 1,
) -> AsyncIterator[Ground]:
    """A fresh driver; at the end no guest is left on the libvirtd."""
    directory.chmod(0o755)  # QEMU, as another user, passes through
    libvirt, news = open_libvirt(libvirtd, usual=usual, keepalive_s=keepalive_s), News()
    emulator = Path("/usr/bin/qemu-system-x86_64")

    def facts_for(uuid: UUID) -> HostFacts:
        return HostFacts(
            hostname="host-1", virt_type="qemu", emulator=emulator, instance_dir=directory / str(uuid)
        )

    domains = LibvirtDomains(libvirt, "host-1", news, facts_for, detach_timeout=PATIENCE)
    made = Ground(libvirtd, directory, libvirt, domains, Watch(libvirt, domains, news))
    tasks = [asyncio.create_task(made.observed.read(made.watch.observations()))]
    if watching:
        tasks.append(asyncio.create_task(made.watch.run()))
        await made.observed.until(lambda o: True, patience=PATIENCE)
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await libvirt.close()
        await asyncio.to_thread(remove_guests, libvirtd)


def remove_guests(libvirtd: Libvirtd) -> None:
    for uuid in libvirtd.virsh("list", "--all", "--uuid").split():
        for command in (["destroy", uuid], ["undefine", uuid, "--managed-save", "--nvram"]):
            with contextlib.suppress(RigError):  # it isn't running, or was transient
                libvirtd.virsh(*command)


def open_files() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


async def until_open_files(most: int) -> None:
    """What is left of a closed connection libvirt's event thread puts away a moment later."""
    async with asyncio.timeout(PATIENCE):
        while open_files() > most:
            await asyncio.sleep(0.05)
