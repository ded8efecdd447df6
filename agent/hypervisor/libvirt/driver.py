"""Puts the libvirt driver together: `service` calls `libvirt_driver` when `hypervisor.driver` is "libvirt".

libvirt needn't be there for that. What is learned from it has defaults until it answers, every call says
Unavailable meanwhile, and the first observation is LOST instead of a LISTING.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import structlog

from agent.errors import AgentError
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.libvirt import accel, host
from agent.hypervisor.libvirt.accel import VirtType
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.connection import WORKERS, Access, Lane, Libvirt, tolerating
from agent.hypervisor.libvirt.domains import LibvirtDomains
from agent.hypervisor.libvirt.errors import Code
from agent.hypervisor.libvirt.host import Abilities, LibvirtHost
from agent.hypervisor.libvirt.news import News
from agent.hypervisor.libvirt.threads import Late
from agent.hypervisor.libvirt.watch import Watch
from agent.hypervisor.network.bridges import HostNics
from agent.hypervisor.ports import Hypervisor
from agent.hypervisor.storage.blocking import in_thread
from agent.hypervisor.storage.capacity import MIB, direct_io_works_in
from agent.hypervisor.storage.disks import DiskOptions, LocalDisks
from agent.hypervisor.storage.images import Bounds
from agent.hypervisor.storage.paths import AllowedPaths
from agent.hypervisor.storage.volumes import HostVolumes
from agent.secret import Secret
from agent.settings import Settings
from agent.version import agent_version

log = structlog.get_logger(__name__)

LEARN_TIMEOUT_S = 30.0
LEARN_AGAIN_S = 5.0


async def libvirt_driver(settings: Settings) -> Hypervisor:
    """The ports on the libvirt and the state directory that the settings name."""
    options = disk_options(settings)
    disks = await in_thread(LocalDisks.open, settings.state_dir, options)
    exhausted = asyncio.Event()
    libvirt = Libvirt(
        access(settings),
        workers=workers(settings),
        timeouts=timeouts(settings),
        on_late=_log_late,
        on_exhausted=exhausted.set,
    )
    knowledge = Knowledge(libvirt, settings, disks.instances_dir)
    await knowledge.begin()
    news = News()
    detach_timeout = settings.hypervisor.detach_timeout_s
    domains = LibvirtDomains(libvirt, settings.host, news, knowledge.facts_for, detach_timeout)
    watch = Watch(libvirt, domains, news)

    async def run() -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(watch.run())
                tasks.create_task(disks.run())
                tasks.create_task(knowledge.complete())
        finally:
            await libvirt.close()

    return Hypervisor(
        domains=domains,
        disks=disks,
        volumes=HostVolumes(AllowedPaths(options.allowed_directories)),
        nics=HostNics(lambda name: _network_exists(libvirt, name)),
        host=LibvirtHost(libvirt, settings.host, knowledge, settings.state_dir),
        observations=watch.observations,
        run=run,
        instances_dir=disks.instances_dir,
        given_up=libvirt.given_up,
        exhausted=exhausted,
    )


class Knowledge:
    """What is known of this host: asked once, kept, asked again until libvirt answers."""

    def __init__(self, libvirt: Libvirt, settings: Settings, instances_dir: Path) -> None:
        self._libvirt = libvirt
        self._settings = settings
        self._instances_dir = instances_dir
        self._learned = False
        self._direct_io = False
        self.abilities = Abilities()
        self.virt_type: VirtType = "qemu"
        self._verdict: accel.Verdict | None = None

    async def begin(self) -> None:
        self._direct_io = await in_thread(direct_io_works_in, self._instances_dir)
        await self._learn()
        await self._choose()

    async def complete(self) -> None:
        """Returns when libvirt has answered."""
        while not self._learned:
            await asyncio.sleep(LEARN_AGAIN_S)
            await self._learn()
            await self._choose()

    async def _learn(self) -> None:
        try:
            self.abilities = await self._libvirt.call(
                Lane.QUERY, host.learn, what="learning what this host can do", timeout=LEARN_TIMEOUT_S
            )
        except (AgentError, ValueError) as error:  # ValueError: what it says can't be read
            log.warning("libvirt doesn't say yet what this host can do", error=str(error))
        else:
            self._learned = True

    async def _choose(self) -> None:
        wanted, state_dir = self._settings.hypervisor.virt_type, self._settings.state_dir
        verdict = await accel.choose(wanted, self.abilities.emulator, state_dir)
        if wanted == "auto" and verdict.virt_type not in self.abilities.virt_types:
            verdict = accel.Verdict(virt_type="qemu", reason="libvirt doesn't offer KVM")
        if verdict != self._verdict:
            log.info("virt_type.chosen", virt_type=verdict.virt_type, reason=verdict.reason)
        self._verdict, self.virt_type = verdict, verdict.virt_type

    def facts_for(self, uuid: UUID) -> HostFacts:
        return HostFacts(
            hostname=self._settings.host,
            virt_type=self.virt_type,
            emulator=self.abilities.emulator,
            instance_dir=self._instances_dir / str(uuid),
            machines=self.abilities.machines,
            uefi=self.abilities.uefi,
            direct_io=self._direct_io,
            agent_version=agent_version(),
        )


def access(settings: Settings) -> Access:
    hypervisor = settings.hypervisor
    return Access(
        hypervisor.uri,
        username=hypervisor.username,
        password=Secret(hypervisor.password.get_secret_value()) if hypervisor.password else None,
        keepalive_interval_s=hypervisor.keepalive_interval_s,
        keepalive_count=hypervisor.keepalive_count,
    )


def workers(settings: Settings) -> dict[Lane, int]:
    """The number of simultaneous starts isn't a setting: more than four gain nothing."""
    size = settings.hypervisor.lane_size
    return {**WORKERS, **dict.fromkeys((Lane.QUERY, Lane.GUEST, Lane.SHORT, Lane.LONG), size)}


def timeouts(settings: Settings) -> dict[Lane, float]:
    hypervisor = settings.hypervisor
    return {
        Lane.QUERY: hypervisor.query_timeout_s,
        Lane.GUEST: hypervisor.query_timeout_s,
        Lane.WATCH: hypervisor.query_timeout_s,
        Lane.SHORT: hypervisor.short_timeout_s,
        Lane.START: hypervisor.long_timeout_s,
        Lane.LONG: hypervisor.long_timeout_s,
    }


def disk_options(settings: Settings) -> DiskOptions:
    storage = settings.storage
    bounds = Bounds(
        max_bytes=storage.image_cache_max_mb * MIB,
        max_image_bytes=storage.image_max_mb * MIB,
        reserve=storage.reserve_mb * MIB,
    )
    return DiskOptions(allowed_directories=storage.allowed_directories, bounds=bounds)


async def _network_exists(libvirt: Libvirt, name: str) -> bool:
    def look(connection: Connection) -> bool:
        with tolerating(Code.NO_NETWORK):
            return bool(connection.networkLookupByName(name).isActive())
        return False

    return await libvirt.call(Lane.QUERY, look, what=f"looking for network {name!r}")


def _log_late(late: Late) -> None:
    """Its operation has ended as unknown; what it did shows in the next reading."""
    log.warning("a call that was given up has returned", what=late.what, seconds=round(late.seconds, 1))
