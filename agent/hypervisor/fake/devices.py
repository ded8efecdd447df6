"""Plugging into a fake guest and out of it: the stored definition and the live guest, one after the other.

Called by `domains`. What is asked back goes when the guest lets go (`life.asked_back`), not when it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from agent import deadline
from agent.errors import Conflict, NotFound, OperationFailed, Unsupported
from agent.hypervisor import limits
from agent.hypervisor.fake import life, views
from agent.hypervisor.fake.faults import halfway
from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.watch import Watch
from agent.hypervisor.fake.world import World
from agent.hypervisor.ports import DiskView, InterfaceView
from agent.spec import AnyInterface, PluggedDisk, PowerState

PC_SLOTS = 24
"""Free PCI slots of an i440fx machine, about."""
MARGIN = 0.05
"""Seconds before the caller's deadline at which asking again ends: so that the truth is told in time."""


class Devices:
    """`detach_timeout`: seconds to ask a guest for a device when the caller has no earlier deadline."""

    def __init__(self, world: World, watch: Watch, detach_timeout: float) -> None:
        self._world = world
        self._watch = watch
        self._detach_timeout = detach_timeout

    async def attach_disk(self, domain: Domain, disk: PluggedDisk) -> DiskView:
        if isinstance(had := _shown(domain, ("disks", disk.id)), PluggedDisk):
            views.need_same(f"disk {disk.id}", had.backing, disk.backing)
            placed = had
        else:
            need_pluggable(domain, disk)
            live = domain.live.disks if domain.live else ()
            placed = views.placed((*domain.disks, *live), (disk,))[-1]
        await self._attach(domain, placed)
        return views.disk_view(placed)

    async def attach_interface(self, domain: Domain, interface: AnyInterface) -> InterfaceView:
        if (had := _shown(domain, ("interfaces", interface.port_id))) is not None:
            views.need_same(f"interface {interface.port_id}", had, interface)
        else:
            limits.check_interface(interface)
            need_port(domain)
        await self._attach(domain, interface)
        return views.interface_view(interface, domain.live)

    async def _attach(self, domain: Domain, device: life.Device) -> None:
        _need_awake(domain)
        self._change(domain.uuid, lambda had: life.with_device(had, device))
        await halfway()
        self._change(domain.uuid, lambda had: _live(had, lambda live: life.with_device(live, device)))

    async def detach(self, domain: Domain, key: life.Key) -> None:
        """Until the guest let go; only then is it forgotten. Raises OperationFailed at the deadline."""
        _need_awake(domain)
        ends = time.monotonic() + max(0.0, deadline.remaining(self._detach_timeout) - MARGIN)
        while life.found(self._change(domain.uuid, lambda had: life.asked_back(had, key)).live, key):
            if time.monotonic() >= ends:
                message = f"{key[1]} is still attached: the guest didn't let it go in time"
                raise OperationFailed(message, details={"still_attached": key[1]})
            await self._watch.moment(time.time() + ends - time.monotonic())
        await halfway()
        self._change(domain.uuid, lambda had: life.without(had, frozenset({key})))

    def _change(self, uuid: UUID, change: Callable[[Domain], Domain]) -> Domain:
        def checked(had: Domain | None, now: float) -> Domain:
            if had is None:
                raise NotFound(f"instance {uuid} isn't on this host")
            return change(had)

        after = self._world.change(uuid, checked)
        if after is None:
            raise NotFound(f"instance {uuid} isn't on this host any more")
        return after


def need_pluggable(domain: Domain, disk: PluggedDisk) -> None:
    """Raises InvalidRequest or Unsupported for a disk that this guest can't be given, or not while it runs."""
    if domain.spec is not None:
        limits.check_disk(disk, domain.spec.machine.type)
    if domain.live is not None and disk.bus not in limits.HOT_PLUGGABLE:
        message = f"a {disk.bus} disk can't be plugged into a running guest"
        raise Unsupported(message, details={"feature": f"hotplug.{disk.bus}"})
    need_port(domain)


def need_port(domain: Domain) -> None:
    """Raises Unsupported when a running guest has no port left for one more device."""
    if domain.live is None or domain.spec is None:
        return
    machine = domain.spec.machine
    ports = machine.hotplug_ports if machine.type == "q35" else PC_SLOTS
    plugged = len(domain.live.disks) + len(domain.live.interfaces) - domain.live.born_with
    if plugged >= ports:
        message = f"all {ports} ports for plugging devices in are taken"
        raise Unsupported(message, details={"feature": "machine.hotplug_ports"})


def _shown(domain: Domain, key: life.Key) -> life.Device | None:
    """What the guest has, or else would get."""
    return life.found(domain.live, key) or life.found(domain, key)


def _live(domain: Domain, change: Callable[[life.Live], life.Live]) -> Domain:
    return domain if domain.live is None else domain.model_copy(update={"live": change(domain.live)})


def _need_awake(domain: Domain) -> None:
    """Saved memory knows the devices it was saved with: Conflict."""
    if domain.state is PowerState.SUSPENDED:
        raise Conflict(f"instance {domain.uuid} is suspended: resume it first")
