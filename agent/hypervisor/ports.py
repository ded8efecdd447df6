"""What the operations see of a hypervisor: Protocols, and the values that cross them.

Two drivers stand behind these ports, `libvirt` and `fake`, and the same contract tests hold both to them.
All methods are safe to repeat: "already so" is success, absent is success for whatever removes. All may
raise `Unavailable` (libvirt or storage can't be reached) and `TimedOut` (a blocking call ran past its
deadline: its outcome is unknown, and it may take effect late: see `Domains.settle`). Anything else is named in
the docstring.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from pydantic import Field

from agent.spec import (
    AnyDisk,
    AnyInterface,
    Frozen,
    ImageSource,
    InstanceSpec,
    PluggedDisk,
    PowerState,
    VolumeConnection,
)

if TYPE_CHECKING:
    from agent.hypervisor.sightings import Sightings

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0.0 to 1.0. Called on the loop; cheap."""


class Guest(Frozen):
    """Everything a domain is made from. `disks` are in the order the guest sees them."""

    spec: InstanceSpec
    disks: tuple[PluggedDisk, ...]
    generation: int
    request_id: str | None = None
    operation_id: str | None = None


class DiskView(Frozen):
    """A disk of a live domain, read back from its XML."""

    id: str
    target: str
    bus: str
    source: str | None
    serial: str | None = None
    removable: bool = False


class InterfaceView(Frozen):
    port_id: str
    type: str
    mac_address: str
    source: str | None  # bridge or network
    tap: str | None = None  # the host's device, while the guest runs


class DomainView(Frozen):
    """A domain of ours as the hypervisor has it now. `spec` comes from our metadata, secrets masked."""

    uuid: UUID
    name: str
    power_state: PowerState
    reason: str
    generation: int
    request_id: str | None
    spec: InstanceSpec | None
    disks: tuple[DiskView, ...] = ()
    interfaces: tuple[InterfaceView, ...] = ()
    volumes: tuple[VolumeConnection, ...] = ()
    """Connected to this host for it, attached or not; secrets masked."""
    vnc_port: int | None = None
    console_path: str | None = None  # pty or unix socket of the first serial port, while it runs
    returning: frozenset[str] = frozenset()
    """From `get` only: ids of disks and ports that the running guest hasn't and gets again at its next start,
    as when it let go of one and the stored definition couldn't be told."""


class Domains(Protocol):
    """The guests of this host that are ours. A domain without our metadata is never found."""

    @property
    def sightings(self) -> Sightings:
        """What `list` and `get` have returned, whoever asked."""
        ...

    def render(self, guest: Guest) -> str:
        """The XML `define` would use, secrets masked. Pure."""
        ...

    async def list(self) -> tuple[DomainView, ...]: ...

    async def get(self, uuid: UUID) -> DomainView:
        """Raises NotFound."""
        ...

    async def define(self, guest: Guest) -> None:
        """Make it known, not running. Raises Conflict when a domain that isn't ours has the uuid or name."""
        ...

    async def undefine(self, uuid: UUID) -> None: ...

    async def start(self, uuid: UUID) -> None:
        """Running when it returns; a suspended guest is restored. Raises NotFound, OperationFailed,
        NoCapacity."""
        ...

    async def power_off(self, uuid: UUID) -> None:
        """Pull the plug."""
        ...

    async def shutdown(self, uuid: UUID) -> None:
        """Press the power button (ACPI) and return at once; the guest may ignore it. Raises NotFound."""
        ...

    async def reboot(self, uuid: UUID) -> None:
        """Ask the guest to reboot and return at once. Raises NotFound, Conflict when it isn't running."""
        ...

    async def reset(self, uuid: UUID) -> None:
        """Press the reset button. Raises NotFound, Conflict when it isn't running."""
        ...

    async def pause(self, uuid: UUID) -> None:
        """Raises NotFound, Conflict when it isn't running."""
        ...

    async def unpause(self, uuid: UUID) -> None:
        """Raises NotFound, Conflict when it is off."""
        ...

    async def suspend(self, uuid: UUID) -> None:
        """Save memory to disk and stop. Raises NotFound, Conflict when it is off."""
        ...

    async def wait_for(self, uuid: UUID, states: frozenset[PowerState], timeout: float) -> PowerState | None:
        """The state reached, or None when `timeout` seconds went by. Woken by events, backed by a slow
        re-read."""
        ...

    async def wait_for_reboot(self, uuid: UUID, timeout: float) -> bool:
        """Whether the guest rebooted within `timeout` seconds. Call it before `reboot`, as a task."""
        ...

    async def attach_disk(self, uuid: UUID, disk: PluggedDisk) -> DiskView:
        """Into the stored definition, and into the guest if it runs. Raises NotFound, Conflict, Unsupported
        (no free port), OperationFailed."""
        ...

    async def detach_disk(self, uuid: UUID, disk_id: str) -> None:
        """Returns only when the guest let go: DEVICE_REMOVED seen and the live XML re-read. Asks again until
        the deadline; then raises OperationFailed saying that it is still attached. An absent disk is success.
        Raises NotFound when the guest is absent."""
        ...

    async def attach_interface(self, uuid: UUID, interface: AnyInterface) -> InterfaceView: ...

    async def detach_interface(self, uuid: UUID, port_id: str) -> None:
        """As `detach_disk`."""
        ...

    async def stamp(self, uuid: UUID, generation: int, request_id: str | None) -> None:
        """Write the generation into the domain's metadata. An absent domain is fine."""
        ...

    async def note_volume(self, uuid: UUID, connection: VolumeConnection) -> None:
        """Write into the domain's metadata that a volume is connected to this host for it (`DomainView.volumes`),
        secrets masked: noted before it is connected, forgotten after it is disconnected. `define` notes those of
        the spec. Raises NotFound."""
        ...

    async def forget_volume(self, uuid: UUID, volume_id: str) -> None:
        """An absent domain is fine."""
        ...

    async def settle(self, uuid: UUID) -> None:
        """Returns when no call on this instance that was given up can take effect any more; at once when there is
        none. To be asked before each change and each undo. Raises Unavailable when one still may after a minute.
        """
        ...

    async def break_off(self, uuid: UUID) -> None:
        """For a guest that is to be destroyed: while a call on it is under way, pull the plug, so that it returns
        and the instance settles. Does nothing while none is, and where the hypervisor itself hangs."""
        ...

    def suspect(self, uuid: UUID) -> None:
        """An earlier run of the agent may have left a call on this instance under way: `settle` looks until it
        rests."""
        ...

    async def diagnostics(self, uuid: UUID) -> dict[str, Any]:
        """cpu, memory, disk and interface counters as nova names them (`cpu0_time`, `vda_read`, ...). Raises
        NotFound, Conflict when it is off."""
        ...

    async def console_output(self, uuid: UUID, tail_bytes: int) -> bytes:
        """The last bytes of the console log. Raises NotFound; Unsupported when the console isn't logged."""
        ...


class Disks(Protocol):
    """The disks the agent makes on this host; an instance's all live in one directory."""

    def layout(self, spec: InstanceSpec) -> tuple[PluggedDisk, ...]:
        """What the guest will get, names decided before anything is made: all but volumes, then the config
        drive. Pure."""
        ...

    async def check(self, spec: InstanceSpec) -> None:
        """Raises InvalidRequest for a path outside the allowed directories or a source that isn't there."""
        ...

    async def fetch(self, image: ImageSource, progress: Progress) -> None:
        """Into the cache, checksum and format checked. Raises InvalidRequest (not what it was said to be,
        checksum, backing file), NotFound, NoCapacity, Unavailable."""
        ...

    async def make_directory(self, uuid: UUID) -> None: ...

    async def create(self, spec: InstanceSpec, disk: AnyDisk) -> None:
        """Make one disk of `spec`, replacing a half-made one; a finished one is kept. Raises NoCapacity,
        OperationFailed."""
        ...

    async def create_config_drive(self, spec: InstanceSpec) -> None: ...

    async def remove(self, uuid: UUID) -> None:
        """Remove the instance's directory and all in it."""
        ...


class Volumes(Protocol):
    """The host side of cinder volumes."""

    async def connect(self, connection: VolumeConnection) -> PluggedDisk:
        """Make the volume reachable from this host. Raises InvalidRequest naming the field, NotFound,
        Unsupported, Unavailable."""
        ...

    def describe(self, connection: VolumeConnection) -> PluggedDisk:
        """What `connect` would give, for a plan: nothing is looked at and nothing is done."""
        ...

    async def disconnect(self, connection: VolumeConnection) -> None: ...


class Nics(Protocol):
    """The host side of interfaces. The libvirt driver lets libvirt make the taps."""

    async def check(self, interface: AnyInterface) -> None:
        """Raises InvalidRequest naming the bridge or network that isn't there."""
        ...

    async def unplug(self, uuid: UUID, interface: AnyInterface) -> None:
        """Remove what a dead guest left behind."""
        ...


class HostView(Frozen):
    """What a scheduler wants to know. Memory and disk in MiB."""

    hostname: str
    hypervisor_type: str
    hypervisor_version: str
    virt_type: str
    arch: str
    cpu_model: str | None
    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    disk_mb: int
    disk_mb_free: int
    instances: int
    capabilities: dict[str, Any] = Field(default_factory=dict)


class Host(Protocol):
    async def describe(self) -> HostView: ...


class Kind(enum.StrEnum):
    """What an observation says."""

    POWER = "power"  # a guest changed its power state
    GONE = "gone"  # the domain was undefined
    LISTING = "listing"  # all domains of ours, after a (re)connect: whatever was missed shows here
    LOST = "lost"  # the hypervisor can't be reached: states are unknown until the next listing


@dataclass(frozen=True, slots=True)
class Observation:
    """Something the hypervisor said by itself. `uuid`, `state` and `reason` for POWER; `uuid` for GONE."""

    kind: Kind
    at: datetime
    uuid: UUID | None = None
    state: PowerState = PowerState.UNKNOWN
    reason: str = ""
    domains: tuple[DomainView, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Calls past their deadline. `hanging` now, `ever` since the start; at `bound` hanging ones the driver is
    `exhausted`. `overdue`: those before their deadline that take longer than a healthy call would."""

    hanging: int = 0
    ever: int = 0
    bound: int | None = None
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """The ports of one driver, wired together by `service`."""

    domains: Domains
    disks: Disks
    volumes: Volumes
    nics: Nics
    host: Host
    observations: Callable[[], AsyncIterator[Observation]]
    """Endless; begins with a LISTING or LOST. One reader only."""
    run: Callable[[], Any]
    """A coroutine function that keeps the driver alive (connections, watch) until cancelled."""
    instances_dir: Path
    given_up: Callable[[], GivenUp] = GivenUp
    exhausted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when so many calls hang that only a new process helps."""
