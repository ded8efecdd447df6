"""Everybody's hands but the agent's: what guests, operators and accidents do in a fake world.

For tests and for whoever tries a scheduler against fake hosts, from any process: it needs nothing but the
agent's state directory, and the agent notices within its poll.

    world = FakeWorld("/var/lib/compute-agent")
    world.kill(uuid)
    world.faults.add(Fault(call="domains.start", error="operation_failed", times=1))

From a shell: `python -m agent.hypervisor.fake STATE_DIR kill UUID`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.hypervisor.fake import life, qcow2
from agent.hypervisor.fake.faults import Faults
from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.world import HostConfig, World, write
from agent.spec import DiskFormat, InstanceSpec, PowerState


class FakeWorld:
    """All methods raise KeyError for a domain that isn't there, ValueError for one in the wrong state."""

    def __init__(self, state_dir: Path | str) -> None:
        self._world = World(Path(state_dir) / "world")
        self.faults = Faults(self._world)

    def domains(self) -> dict[UUID, Domain]:
        """Every domain, foreign ones too."""
        return self._world.all()

    # From inside the guest.

    def guest_power_off(self, uuid: UUID) -> None:
        self._inside(uuid, lambda d, now: life.stopped(d, now, PowerState.SHUTDOWN, "shutdown"))

    def guest_reboot(self, uuid: UUID) -> None:
        pace = self._world.host
        self._inside(uuid, lambda d, now: life.was_reset(d, now, pace))

    def guest_disks(self, uuid: UUID) -> frozenset[str]:
        """The serials of the disks that the booted guest sees."""
        live = self._booted(self._world.get(uuid), uuid)
        return frozenset(d.serial for d in live.disks if d.serial)

    def guest_macs(self, uuid: UUID) -> frozenset[str]:
        live = self._booted(self._world.get(uuid), uuid)
        return frozenset(i.mac_address.lower() for i in live.interfaces)

    def make_stubborn(self, uuid: UUID, stubborn: bool = True) -> None:
        """It doesn't let devices go."""
        self._set(uuid, stubborn=stubborn)

    def make_deaf(self, uuid: UUID, deaf: bool = True) -> None:
        """It ignores the power button."""
        self._set(uuid, deaf=deaf)

    # Behind the agent's back.

    def kill(self, uuid: UUID) -> None:
        """The guest's process dies."""
        self._active(uuid, lambda d, now: life.stopped(d, now, PowerState.CRASHED, "crashed"))

    def destroy(self, uuid: UUID) -> None:
        self._active(uuid, lambda d, now: life.stopped(d, now, PowerState.SHUTDOWN, "destroyed"))

    def suspend(self, uuid: UUID) -> None:
        self._active(uuid, lambda d, now: d if d.state is PowerState.PAUSED else life.paused(d, now))

    def resume(self, uuid: UUID) -> None:
        self._active(uuid, lambda d, now: d if d.state is PowerState.RUNNING else life.resumed(d, now))

    def undefine(self, uuid: UUID) -> None:
        """As `virsh undefine`: what runs, runs on and vanishes when it stops."""
        self._set(uuid, persistent=False)

    def make_foreign(self, uuid: UUID, name: str) -> None:
        """A running domain that is no agent's."""
        self._run(Domain(uuid=uuid, name=name))

    def make_of(self, spec: InstanceSpec, host: str | None) -> None:
        """A running domain of that host's agent; None: of an agent of before, which didn't write its host."""
        self._run(Domain(uuid=spec.uuid, name=spec.name, spec=spec, host=host, interfaces=spec.interfaces))

    def _run(self, domain: Domain) -> None:
        pace = self._world.host
        self._world.change(domain.uuid, lambda _, now: life.started(domain, now, pace, None))

    def remove(self, uuid: UUID) -> None:
        """Off and gone, whatever it was; absent is fine."""
        self._world.change(uuid, lambda _, __: None)

    # The host.

    def outage(self, down: bool) -> None:
        """The hypervisor's daemon dies or comes back. Guests live on."""
        if down:
            self._world.fall()
        else:
            self._world.rise()

    def configure(self, **changes: Any) -> HostConfig:
        """Change fields of `host.json`. Raises ValidationError for what it doesn't know."""
        host = HostConfig.model_validate(self._world.host.model_dump() | changes)
        write(self._world.root / "host.json", host.model_dump_json(indent=2))
        return host

    def make_image(self, path: Path, size_mb: int = 64) -> None:
        """A qcow2 file of 512 bytes that passes as an image."""
        qcow2.make(path, DiskFormat.QCOW2, size_mb * 1024 * 1024)

    def _set(self, uuid: UUID, **update: bool) -> None:
        self._change(uuid, lambda domain, _: domain.model_copy(update=update))

    def _active(self, uuid: UUID, change: Callable[[Domain, float], Domain]) -> None:
        def checked(domain: Domain, now: float) -> Domain:
            if not domain.active:
                raise ValueError(f"domain {uuid} is {domain.state}")
            return change(domain, now)

        self._change(uuid, checked)

    def _inside(self, uuid: UUID, change: Callable[[Domain, float], Domain]) -> None:
        def checked(domain: Domain, now: float) -> Domain:
            self._booted(domain, uuid)
            return change(domain, now)

        self._change(uuid, checked)

    def _booted(self, domain: Domain | None, uuid: UUID) -> life.Live:
        if domain is None:
            raise KeyError(uuid)
        if domain.state is not PowerState.RUNNING or domain.live is None or not domain.live.booted:
            raise ValueError(f"the system of {uuid} isn't up")
        return domain.live

    def _change(self, uuid: UUID, change: Callable[[Domain, float], Domain]) -> None:
        def checked(domain: Domain | None, now: float) -> Domain:
            if domain is None:
                raise KeyError(uuid)
            return change(domain, now)

        self._world.change(uuid, checked)
