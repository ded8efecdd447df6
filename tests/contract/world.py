"""What the contract tests need of a world with a hypervisor in it, whichever driver stands before it.

A `World` is one host for the whole test session: a driver that runs, and the acts of everybody who isn't
the agent (the guest itself, an operator with `virsh`, a crash). Two of them exist: `fake_world.FakeHost`
and `libvirt_world.LibvirtHost`. A rule that can't be said with these acts isn't a rule of the ports.

Words that both drivers must use, in `DomainView.reason` and `Observation.reason`: libvirt's own, as `virsh
domstate --reason` prints them.

    what happened                            power_state  reason
    started                                  running      booted
    the guest powered itself off             shutdown     shutdown
    the plug was pulled, by us or others     shutdown     destroyed
    the guest's process died                 crashed      crashed
    paused, by us or others                  paused       user
    continued                                running      unpaused
    memory saved to disk                     suspended    saved
    restored from that                       running      restored

A reboot or reset changes neither word, and isn't observed as POWER.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from agent.hypervisor.ports import Guest, Hypervisor, Kind, Observation
from agent.spec import (
    AnyDisk,
    ImageDisk,
    ImageSource,
    InstanceSpec,
    PluggedDisk,
    PowerState,
    VolumeConnection,
    VolumeDisk,
)

SEEN_SERIAL = 20
"""A virtio disk shows this many characters of its serial inside the guest."""


class Observed:
    """The one reader of a driver's observations: keeps them all, wakes whoever waits for one."""

    def __init__(self) -> None:
        self.all: list[Observation] = []
        self._more = asyncio.Event()

    async def read(self, observations: AsyncIterator[Observation]) -> None:
        """Runs beside the driver's `run` until cancelled."""
        async for one in observations:
            self.all.append(one)
            self._more.set()

    def mark(self) -> int:
        """Give this to `until` as `since`, to see only what comes from now on."""
        return len(self.all)

    def last(self, uuid: UUID) -> tuple[PowerState, str] | None:
        """What was last said of a guest's power."""
        for one in reversed(self.all):
            if one.kind is Kind.POWER and one.uuid == uuid:
                return one.state, one.reason
            for view in one.domains:
                if view.uuid == uuid:
                    return view.power_state, view.reason
        return None

    def power(self, uuid: UUID, since: int = 0) -> list[tuple[PowerState, str]]:
        """All power changes of a guest since the mark, oldest first."""
        return [(o.state, o.reason) for o in self.all[since:] if o.kind is Kind.POWER and o.uuid == uuid]

    async def until(
        self, wanted: Callable[[Observation], bool], *, since: int = 0, patience: float
    ) -> Observation:
        """The first observation since the mark that is wanted. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while True:
                for one in self.all[since:]:
                    if wanted(one):
                        return one
                self._more.clear()
                await self._more.wait()


class World(Protocol):
    """One host, its driver, and the acts of the others on it.

    All specs, images and volumes that it hands out are fresh: own uuid, name, MAC, file. What a test makes
    and doesn't remove is removed by `clean`, which `conftest` calls after each test that asks for it.
    """

    patience: float
    """Seconds that anything here may take, a boot too."""
    moment: float
    """Seconds after which something that should not happen would have happened; short."""
    held: float
    """Seconds after which a guest that doesn't let a device go is asked no more: longer than the asking takes."""
    bridge: str
    """A bridge of this host."""
    image_dir: Path
    """Sources of images must be in here; tests may write files in it."""
    volume_dir: Path
    """File volumes must be in here; tests may write files in it."""
    outside: Path
    """A readable qcow2 file that is in neither."""

    @property
    def hypervisor(self) -> Hypervisor:
        """The driver that runs now; another object after `restart_driver`."""
        ...

    @property
    def observed(self) -> Observed:
        """What the driver that runs now has said."""
        ...

    async def start(self) -> None:
        """Make the host, start the driver (`run` and the reader of observations) and wait for its first
        LISTING."""
        ...

    async def stop(self) -> None:
        """Stop the driver, remove every guest and all that was made."""
        ...

    async def restart_driver(self) -> None:
        """As if the agent was killed and started again: a new driver on the same host, first LISTING seen."""
        ...

    def daemon_down(self) -> AbstractAsyncContextManager[None]:
        """The hypervisor's daemon is dead inside, by SIGKILL, and started again after. Guests live on."""
        ...

    def daemon_deaf(self) -> AbstractAsyncContextManager[None]:
        """Inside, what is asked of the hypervisor's daemon neither fails nor returns; after, it goes on."""
        ...

    def guest_deaf(self, uuid: UUID) -> AbstractAsyncContextManager[None]:
        """Inside, a running guest's process neither does what it is told nor ends by itself; `pause` hangs."""
        ...

    # What a test makes guests from.

    def spec(self) -> InstanceSpec:
        """1 vCPU, the least memory that starts, no disk, no interface, a logged console: it runs and never
        boots, so it never lets a device go and ignores the power button."""
        ...

    def bootable(self) -> InstanceSpec:
        """As `spec`, with a boot disk (id "root") from `image` and enough memory: prints GUEST-READY on its
        console, heeds the power button and lets devices go."""
        ...

    def image(self) -> ImageSource:
        """A bootable qcow2 in `image_dir`, with its sha256."""
        ...

    def file_volume(self) -> VolumeConnection:
        """A raw file of 1 MiB or more in `volume_dir`; `volume_id` is a uuid."""
        ...

    def nbd_volume(self) -> VolumeConnection:
        """An export of a server that runs, reachable by the guests of this host."""
        ...

    async def half_make(self, spec: InstanceSpec, disk: AnyDisk) -> Path:
        """Leave what the death of the agent in the midst of `disks.create(spec, disk)` leaves in the
        instance's directory. Returns the path that the finished disk will have."""
        ...

    # What the guest does and sees, from inside.

    async def wait_ready(self, uuid: UUID) -> None:
        """Until the guest's system is up and answers. Raises TimeoutError after `patience`."""
        ...

    async def guest_power_off(self, uuid: UUID) -> None:
        """`poweroff` inside a booted guest; may return before it is off."""
        ...

    async def guest_reboot(self, uuid: UUID) -> None:
        """`reboot` inside a booted guest; may return before it is done."""
        ...

    async def guest_disks(self, uuid: UUID) -> frozenset[str]:
        """The serials of the disks a booted guest sees now, cut at SEEN_SERIAL characters."""
        ...

    async def guest_macs(self, uuid: UUID) -> frozenset[str]:
        """The MAC addresses, lower case, of the interfaces a booted guest sees now, the loopback left out."""
        ...

    # What others do behind the agent's back.

    async def kill(self, uuid: UUID) -> None:
        """SIGKILL to the guest's process."""
        ...

    async def destroy(self, uuid: UUID) -> None:
        """`virsh destroy`"""
        ...

    async def suspend(self, uuid: UUID) -> None:
        """`virsh suspend`"""
        ...

    async def resume(self, uuid: UUID) -> None:
        """`virsh resume`"""
        ...

    async def undefine(self, uuid: UUID) -> None:
        """`virsh undefine`"""
        ...

    async def make_foreign(self, uuid: UUID, name: str) -> None:
        """A running domain without the agent's metadata."""
        ...

    async def make_of(self, spec: InstanceSpec, host: str | None) -> None:
        """A running domain of the agent of that host; None: of an agent of before, which wrote no host."""
        ...

    async def fingerprint(self, uuid: UUID) -> str | None:
        """Definition and state of any domain, foreign ones too, as text; None when there is none. Equal as
        long as nobody touches it."""
        ...

    keep: set[UUID]
    """Guests that `clean` spares: the booted one that tests share."""

    async def clean(self) -> None:
        """Remove all guests, foreign ones too, except those in `keep`, and their directories."""
        ...


def guest_of(world: World, spec: InstanceSpec, generation: int = 1) -> Guest:
    """The guest that `spawn` would define of a spec without volumes."""
    disks = world.hypervisor.disks.layout(spec)
    return Guest(spec=spec, disks=disks, generation=generation, request_id="contract")


async def made(world: World, spec: InstanceSpec) -> InstanceSpec:
    """Its disks made and the guest defined, as `spawn` does it; not started."""
    disks = world.hypervisor.disks
    await disks.make_directory(spec.uuid)
    for disk in spec.disks:
        if isinstance(disk, ImageDisk):
            await disks.fetch(disk.image, lambda what, share: None)
        if not isinstance(disk, VolumeDisk):
            await disks.create(spec, disk)
    if spec.config_drive is not None:
        await disks.create_config_drive(spec)
    await world.hypervisor.domains.define(guest_of(world, spec))
    return spec


async def running(world: World, spec: InstanceSpec) -> InstanceSpec:
    """`made`, started, and observed to run: what is marked after this doesn't see the start any more."""
    await made(world, spec)
    mark = world.observed.mark()
    await world.hypervisor.domains.start(spec.uuid)
    await world.observed.until(lambda o: o.uuid == spec.uuid, since=mark, patience=world.patience)
    return spec


async def plugged_volume(world: World, spec: InstanceSpec) -> PluggedDisk:
    """A fresh volume, connected to the host and attached to the guest."""
    disk = await world.hypervisor.volumes.connect(world.file_volume())
    await world.hypervisor.domains.attach_disk(spec.uuid, disk)
    return disk


async def eventually(world: World, told: Callable[[], Awaitable[bool]]) -> None:
    """Until it is true: for what a guest sees a moment later. Raises TimeoutError after `patience`."""
    async with asyncio.timeout(world.patience):
        while not await told():
            await asyncio.sleep(0.05)
