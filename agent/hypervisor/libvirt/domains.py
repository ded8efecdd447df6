"""The port `Domains` on libvirt: each method is one call in a lane, or a wait that makes some.

What is done inside a call is in `views` (reading), `changes`, `plug`, `console`
and `diagnostics`; what a guest of ours looks like is decided in `domain`. Here is only which lane a
thing runs in, and what it is called in errors.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from agent.errors import Busy, NotFound
from agent.hypervisor import domain as domain_xml
from agent.hypervisor import readback
from agent.hypervisor.doubts import AtWork, Doubts
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.libvirt import changes, console, diagnostics, views
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.connection import Lane, Libvirt
from agent.hypervisor.libvirt.lifecycle import Power
from agent.hypervisor.libvirt.news import News
from agent.hypervisor.libvirt.plug import Answer, Device, Unplug, attach_disk, attach_interface
from agent.hypervisor.libvirt.views import Here
from agent.hypervisor.libvirt.waits import Waits
from agent.hypervisor.ports import DiskView, DomainView, Guest, InterfaceView
from agent.hypervisor.sightings import Sightings
from agent.spec import AnyInterface, PluggedDisk, PowerState, VolumeConnection

T = TypeVar("T")

STARTS = 3
LOOK_S = 2.0
"""Seconds within which libvirt must have shown that it answers, or no plug is pulled."""
END_S = 30.0
"""Seconds that may take: a QEMU that ignores SIGTERM is killed after ten."""

FactsFor = Callable[[UUID], HostFacts]
"""What the builders must know of this host, for one instance."""


class LibvirtDomains:
    """`host`: whose guests these are. `detach_timeout`: seconds a guest has to let go of a device when the caller
    has no earlier deadline."""

    def __init__(
        self, libvirt: Libvirt, host: str, news: News, facts_for: FactsFor, detach_timeout: float
    ) -> None:
        self.made: set[UUID] = set()  # for `watch`
        self.sightings = Sightings()
        self._libvirt = libvirt
        self._host = host
        self._facts_for = facts_for
        self._waits = Waits(self.power, news)
        self._unplug = Unplug(news, detach_timeout)
        self._doubts = Doubts(self._seen)

    def render(self, guest: Guest) -> str:
        return domain_xml.build(guest, self._facts_for(guest.spec.uuid))

    async def list(self) -> tuple[DomainView, ...]:
        listing = self._libvirt.call(Lane.QUERY, self._asked(views.all_of_ours), what="listing the instances")
        return await self.sightings.look_at_all(listing)

    async def get(self, uuid: UUID) -> DomainView:
        return await self.sightings.look_at(uuid, self._do(Lane.QUERY, "reading", uuid, views.get))

    async def power(self, uuid: UUID) -> Power:
        """Its power state alone, for `watch` and for waits. Raises NotFound."""
        return await self._do(Lane.QUERY, "reading the state of", uuid, views.power)

    async def define(self, guest: Guest) -> None:
        spec = guest.spec
        xml = self.render(guest)
        await self._do(Lane.SHORT, "define", spec.uuid, partial(changes.define, name=spec.name, xml=xml))
        self.made.add(spec.uuid)

    async def undefine(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "undefine", uuid, changes.undefine)

    async def start(self, uuid: UUID) -> None:
        for _ in range(STARTS - 1):
            with contextlib.suppress(Busy):  # nothing was begun; another VNC port is tried
                return await self._do(Lane.START, "start", uuid, changes.start)
        return await self._do(Lane.START, "start", uuid, changes.start)

    async def power_off(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "power off", uuid, changes.power_off)

    async def shutdown(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "shut down", uuid, changes.shutdown)

    async def reboot(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "reboot", uuid, changes.reboot)

    async def reset(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "reset", uuid, changes.reset)

    async def pause(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "pause", uuid, changes.pause)

    async def unpause(self, uuid: UUID) -> None:
        await self._do(Lane.SHORT, "unpause", uuid, changes.unpause)

    async def suspend(self, uuid: UUID) -> None:
        await self._do(Lane.LONG, "suspend", uuid, changes.suspend)

    async def wait_for(self, uuid: UUID, states: frozenset[PowerState], timeout: float) -> PowerState | None:
        return await self._waits.for_state(uuid, states, timeout)

    async def wait_for_reboot(self, uuid: UUID, timeout: float) -> bool:
        return await self._waits.for_reboot(uuid, timeout)

    async def attach_disk(self, uuid: UUID, disk: PluggedDisk) -> DiskView:
        direct_io = self._facts_for(uuid).direct_io
        attach = partial(attach_disk, disk=disk, direct_io=direct_io)
        return await self._do(Lane.SHORT, f"attach disk {disk.id} to", uuid, attach)

    async def attach_interface(self, uuid: UUID, interface: AnyInterface) -> InterfaceView:
        attach = partial(attach_interface, interface=interface)
        return await self._do(Lane.SHORT, f"attach interface {interface.port_id} to", uuid, attach)

    async def detach_disk(self, uuid: UUID, disk_id: str) -> None:
        await self._take_out(uuid, f"disk {disk_id}", Device(disk_id, readback.disk_element))

    async def detach_interface(self, uuid: UUID, port_id: str) -> None:
        await self._take_out(uuid, f"interface {port_id}", Device(port_id, readback.interface_element))

    async def _take_out(self, uuid: UUID, name: str, device: Device) -> None:
        async def in_worker(fn: Callable[[Here], Answer]) -> Answer:
            return await self._change(Lane.SHORT, f"detach {name} from", uuid, fn)

        await self._unplug.take_out(uuid, device, in_worker)

    async def stamp(self, uuid: UUID, generation: int, request_id: str | None) -> None:
        stamp = partial(changes.stamp, generation=generation, request_id=request_id)
        await self._do(Lane.SHORT, "write the generation of", uuid, stamp)

    async def note_volume(self, uuid: UUID, connection: VolumeConnection) -> None:
        note = partial(changes.note_volume, volume=connection)
        await self._do(Lane.SHORT, f"note volume {connection.volume_id} in", uuid, note)

    async def forget_volume(self, uuid: UUID, volume_id: str) -> None:
        forget = partial(changes.forget_volume, volume_id=volume_id)
        await self._do(Lane.SHORT, f"forget volume {volume_id} in", uuid, forget)

    async def settle(self, uuid: UUID) -> None:
        await self._doubts.settle(uuid)

    async def break_off(self, uuid: UUID) -> None:
        if self._doubts.under_way(uuid):
            pull = self._asked(partial(changes.break_off, uuid=uuid, before=time.monotonic() + LOOK_S))
            with self._doubts.change(uuid, beside=True) as change:
                await self._libvirt.call(Lane.GUEST, pull, what=f"end {uuid}", timeout=END_S, change=change)

    def suspect(self, uuid: UUID) -> None:
        self._doubts.suspect(uuid)

    async def _seen(self, uuid: UUID) -> DomainView | AtWork | None:
        with contextlib.suppress(NotFound):
            seen = await self.get(uuid)
            working = await self._do(Lane.QUERY, "looking for work on", uuid, views.at_work)
            return AtWork(seen) if working else seen
        return None

    async def diagnostics(self, uuid: UUID) -> dict[str, Any]:
        return await self._do(Lane.GUEST, "reading the counters of", uuid, diagnostics.counters)

    async def console_output(self, uuid: UUID, tail_bytes: int) -> bytes:
        read = partial(console.output, tail_bytes=tail_bytes)
        return await self._do(Lane.GUEST, "reading the console of", uuid, read)

    async def _do(self, lane: Lane, doing: str, uuid: UUID, fn: Callable[..., T]) -> T:
        """`fn(here, uuid=uuid)` in `lane`; in all but QUERY and GUEST it is a change."""
        work = partial(fn, uuid=uuid)
        if lane in (Lane.QUERY, Lane.GUEST):
            return await self._libvirt.call(lane, self._asked(work), what=f"{doing} instance {uuid}")
        return await self._change(lane, doing, uuid, work)

    async def _change(self, lane: Lane, doing: str, uuid: UUID, work: Callable[[Here], T]) -> T:
        """It may take effect late, when it is given up."""
        what = f"{doing} instance {uuid}"
        with self._doubts.change(uuid) as change:
            return await self._libvirt.call(lane, self._asked(work), what=what, change=change)

    def _asked(self, work: Callable[[Here], T]) -> Callable[[Connection], T]:
        return lambda connection: work(Here(connection, self._host))
