"""The fake's guests: each method is one change of the world, decided by `life`.

Behind the `Domains` port; `driver` makes it. All that may block in the real driver passes the gate, where
faults strike. A domain without a spec, or of another host's agent, is somebody else's and isn't found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import UUID

from agent import deadline
from agent.errors import AgentError, Conflict, NoCapacity, NotFound
from agent.hypervisor import limits
from agent.hypervisor.fake import life, views
from agent.hypervisor.fake.devices import Devices
from agent.hypervisor.fake.faults import Gate, gated, halfway
from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.watch import Watch
from agent.hypervisor.fake.world import World, bridge_of, tap_name
from agent.hypervisor.owners import somebody_elses
from agent.hypervisor.ports import DiskView, DomainView, Guest, InterfaceView
from agent.hypervisor.sightings import Sightings
from agent.spec import AnyInterface, PluggedDisk, PowerState, VolumeConnection, VolumeDisk

FIRST_VNC_PORT = 5900

T = TypeVar("T")

Change = Callable[[Domain, float], Domain | None]


class FakeDomains:
    port = "domains"

    def __init__(self, world: World, gate: Gate, watch: Watch, instances: Path, detach_timeout: float) -> None:
        self.gate = gate
        self.sightings = Sightings()
        self._instances = instances
        self._world = world
        self._watch = watch
        self._devices = Devices(world, watch, detach_timeout)

    def render(self, guest: Guest) -> str:
        # The real driver's own builders, so that `plan` shows the same XML; lxml only when it is asked for.
        from agent.hypervisor.fake.rendering import render

        return render(guest, self._world.owner, self._instances)

    async def list(self) -> tuple[DomainView, ...]:
        return await self.sightings.look_at_all(self._list())

    @gated
    async def _list(self) -> tuple[DomainView, ...]:
        return tuple(views.domain_view(d) for d in self._world.all().values() if self._world.is_ours(d))

    async def get(self, uuid: UUID) -> DomainView:
        return await self.sightings.look_at(uuid, self._get(uuid))

    @gated
    async def _get(self, uuid: UUID) -> DomainView:
        return views.domain_view(self._ours(uuid))

    @gated
    async def define(self, guest: Guest) -> None:
        spec = guest.spec
        limits.check_guest(guest.disks, spec.machine.type)
        for other in self._world.all().values():
            if other.name == spec.name and other.uuid != spec.uuid:
                raise Conflict(f"a domain {other.uuid} with the name {spec.name!r} is there already")
        self._world.change(spec.uuid, lambda had, _: self._defined(had, guest))

    @gated
    async def undefine(self, uuid: UUID) -> None:
        def change(had: Domain, now: float) -> Domain | None:
            # What runs, runs on, and vanishes when it stops.
            return had.model_copy(update={"persistent": False}) if had.active else None

        self._change_if_there(uuid, change)

    @gated
    async def start(self, uuid: UUID) -> None:
        domain = self._ours(uuid)
        if domain.state is PowerState.RUNNING:
            return
        if domain.state is PowerState.PAUSED:
            raise Conflict(f"instance {uuid} is paused: unpause it")
        self._need_room(domain)
        # Half a start: the taps are there and the guest isn't.
        for interface in domain.interfaces:
            if (tap := tap_name(interface)) is not None:
                self._world.make_tap(tap, uuid, bridge_of(interface) or "")
        await halfway()
        port = self._free_vnc_port(domain)
        pace = self._world.host
        self._change(uuid, lambda had, now: had if had.active else life.started(had, now, pace, port))

    @gated
    async def power_off(self, uuid: UUID) -> None:
        self._pull_plug(uuid)

    def _pull_plug(self, uuid: UUID) -> None:
        def change(had: Domain, now: float) -> Domain:
            return life.stopped(had, now, PowerState.SHUTDOWN, "destroyed") if had.active else had

        self._change_if_there(uuid, change)

    @gated
    async def shutdown(self, uuid: UUID) -> None:
        self._press(uuid, "off")

    @gated
    async def reboot(self, uuid: UUID) -> None:
        self._need(uuid, {PowerState.RUNNING})
        self._press(uuid, "reset")

    def _press(self, uuid: UUID, act: Literal["off", "reset"]) -> None:
        pace = self._world.host
        self._change(uuid, lambda had, now: life.button_pressed(had, now, pace, act))

    @gated
    async def reset(self, uuid: UUID) -> None:
        self._need(uuid, {PowerState.RUNNING})
        pace = self._world.host
        self._change(uuid, lambda had, now: life.was_reset(had, now, pace))

    @gated
    async def pause(self, uuid: UUID) -> None:
        if self._need(uuid, life.ACTIVE).state is PowerState.RUNNING:
            self._change(uuid, life.paused)

    @gated
    async def unpause(self, uuid: UUID) -> None:
        if self._need(uuid, life.ACTIVE).state is PowerState.PAUSED:
            self._change(uuid, life.resumed)

    @gated
    async def suspend(self, uuid: UUID) -> None:
        domain = self._need(uuid, {*life.ACTIVE, PowerState.SUSPENDED})
        if domain.state is PowerState.SUSPENDED:
            return
        try:
            await halfway()
        except AgentError:
            # Half a suspend: it was paused to be saved, and stays so.
            if domain.state is PowerState.RUNNING:
                self._change(uuid, life.paused)
            raise
        self._change(uuid, life.saved)

    async def wait_for(self, uuid: UUID, states: frozenset[PowerState], timeout: float) -> PowerState | None:
        def reached(domain: Domain) -> PowerState | None:
            return domain.state if domain.state in states else None

        return await self._until(uuid, reached, timeout)

    async def wait_for_reboot(self, uuid: UUID, timeout: float) -> bool:
        before = self._world.get(uuid)
        resets = before.resets if before else 0
        return bool(await self._until(uuid, lambda domain: domain.resets > resets, timeout))

    async def _until(self, uuid: UUID, asked: Callable[[Domain], T | None], timeout: float) -> T | None:
        ends = time.monotonic() + deadline.remaining(timeout)
        while True:
            domain = self._world.get(uuid)
            if domain is not None and self._world.is_ours(domain) and (answer := asked(domain)):
                return answer
            if time.monotonic() >= ends:
                return None
            due = min((d.at for d in domain.due), default=None) if domain else None
            left = time.time() + ends - time.monotonic()
            await self._watch.moment(left if due is None else min(left, due))

    @gated
    async def attach_disk(self, uuid: UUID, disk: PluggedDisk) -> DiskView:
        return await self._devices.attach_disk(self._ours(uuid), disk)

    @gated
    async def detach_disk(self, uuid: UUID, disk_id: str) -> None:
        await self._devices.detach(self._ours(uuid), ("disks", disk_id))

    @gated
    async def attach_interface(self, uuid: UUID, interface: AnyInterface) -> InterfaceView:
        return await self._devices.attach_interface(self._ours(uuid), interface)

    @gated
    async def detach_interface(self, uuid: UUID, port_id: str) -> None:
        await self._devices.detach(self._ours(uuid), ("interfaces", port_id))

    @gated
    async def stamp(self, uuid: UUID, generation: int, request_id: str | None) -> None:
        update = {"host": self._world.owner, "generation": generation, "request_id": request_id}
        self._change_if_there(uuid, lambda had, _: had.model_copy(update=update))

    @gated
    async def note_volume(self, uuid: UUID, connection: VolumeConnection) -> None:
        self._change(uuid, lambda had, _: _noting(had, connection.volume_id, (connection,)))

    @gated
    async def forget_volume(self, uuid: UUID, volume_id: str) -> None:
        self._change_if_there(uuid, lambda had, _: _noting(had, volume_id, ()))

    async def settle(self, uuid: UUID) -> None:
        await self.gate.doubts.settle(uuid)

    @gated
    async def break_off(self, uuid: UUID) -> None:
        if self.gate.break_off(uuid):
            self._pull_plug(uuid)

    def suspect(self, uuid: UUID) -> None:
        self.gate.doubts.suspect(uuid)

    @gated
    async def diagnostics(self, uuid: UUID) -> dict[str, Any]:
        return views.diagnostics(self._ours(uuid), time.time())

    @gated
    async def console_output(self, uuid: UUID, tail_bytes: int) -> bytes:
        return views.console_tail(self._ours(uuid), tail_bytes)

    def _ours(self, uuid: UUID) -> Domain:
        domain = self._world.get(uuid)
        if domain is None or not self._world.is_ours(domain):
            raise NotFound(f"instance {uuid} isn't on this host")
        return domain

    def _need(self, uuid: UUID, states: frozenset[PowerState] | set[PowerState]) -> Domain:
        domain = self._ours(uuid)
        if domain.state not in states:
            raise Conflict(f"instance {uuid} is {domain.state}", details={"power_state": domain.state})
        return domain

    def _change(self, uuid: UUID, change: Change) -> None:
        self._ours(uuid)
        self._change_if_there(uuid, change)

    def _change_if_there(self, uuid: UUID, change: Change) -> None:
        """Others' domains are as good as absent, and stay as they are."""

        def ours(had: Domain | None, now: float) -> Domain | None:
            return change(had, now) if had is not None and self._world.is_ours(had) else had

        self._world.change(uuid, ours)

    def _defined(self, had: Domain | None, guest: Guest) -> Domain:
        """A new domain, or the same with another definition: what runs, runs on as it was."""
        spec = guest.spec
        if had is not None and not self._world.is_ours(had):
            raise somebody_elses(spec.uuid, had.host)
        definition = {
            "name": spec.name,
            "spec": spec,
            "host": self._world.owner,
            "generation": guest.generation,
            "request_id": guest.request_id,
            "operation_id": guest.operation_id,
            "disks": views.placed((), guest.disks),
            "interfaces": spec.interfaces,
            "volumes": tuple(disk.connection for disk in spec.disks if isinstance(disk, VolumeDisk)),
            "persistent": True,
        }
        return (had or Domain(uuid=spec.uuid, name=spec.name)).model_copy(update=definition)

    def _need_room(self, domain: Domain) -> None:
        """Raises NoCapacity unless it fits beside all that runs."""
        host = self._world.host
        wanting = [d.spec for d in self._world.all().values() if d.spec and (d.active or d.uuid == domain.uuid)]
        room = {
            "memory_mb": host.memory_mb - sum(s.memory_mb for s in wanting),
            "vcpus": host.vcpus - sum(s.vcpus for s in wanting),
        }
        for what, left in room.items():
            if left < 0:
                raise NoCapacity(f"{-left} {what} too few to start {domain.name}", details={"short_of": what})

    def _free_vnc_port(self, domain: Domain) -> int | None:
        if domain.spec is None or domain.spec.graphics.type == "none":
            return None
        taken = {d.live.vnc_port for d in self._world.all().values() if d.live}
        return next(p for p in range(FIRST_VNC_PORT, 65536) if p not in taken)


def _noting(had: Domain, volume_id: str, noted: tuple[VolumeConnection, ...]) -> Domain:
    others = tuple(volume for volume in had.volumes if volume.volume_id != volume_id)
    return had.model_copy(update={"volumes": (*others, *noted)})
