"""The arguments of each method."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from agent.rpc.schema.base import UUID, Identifier, InstanceParams, Params, Read, Text
from agent.rpc.schema.instance import Bus, ConnectionInfo, Device, Instance, Interface

SPAWN_NOT_AFTER = timedelta(minutes=10)
"""A spawn always ends: without `not_after` client and agent give it this one, from when they see it."""


class Spawn(Params):
    """Make an instance and start it. A known uuid with an equal spec is success, with another a conflict."""

    instance: Instance


class Destroy(InstanceParams):
    """Stop an instance and remove all of it. An absent one is success."""

    delete_disks: bool = True
    """False keeps the instance's directory with its disks."""


class AttachVolume(InstanceParams):
    """Attach a volume, to the running guest too."""

    connection_info: ConnectionInfo
    """cinder's description of the volume."""
    device: Device | None = None
    """What libvirt shall call it, where that name is free and of its bus; the guest decides for itself."""
    bus: Bus = "virtio"
    """How the guest sees it."""
    boot_index: int | None = Field(default=None, ge=1, le=64)
    """Place in the boot order; default: it isn't booted from."""


class DetachVolume(InstanceParams):
    """Detach a volume; success only when the guest let go."""

    volume_id: Identifier
    """The volume's id, as it was attached."""


class AttachInterface(InstanceParams):
    """Attach a network interface, to the running guest too."""

    vif: Interface
    """The interface, as in `instance.interfaces`."""


class DetachInterface(InstanceParams):
    """Detach a network interface; success only when the guest let go."""

    port_id: Identifier
    """The interface's port."""


class Start(InstanceParams):
    """Start an instance that is off."""


class Pause(InstanceParams):
    """Freeze the guest in memory."""


class Unpause(InstanceParams):
    """Let a paused guest go on."""


class Suspend(InstanceParams):
    """Save the guest's memory to disk and stop it."""


class Resume(InstanceParams):
    """Go on from where `suspend` left off."""


class Stop(InstanceParams):
    """Stop the guest: by its power button first, by pulling the plug after `timeout_s`."""

    graceful: bool = True
    """False pulls the plug at once."""
    timeout_s: float = Field(default=60, ge=0, le=3600)
    """Seconds the guest has to shut down by itself."""


class Reboot(InstanceParams):
    """Reboot the guest: `soft` asks it and falls back to `hard` after `timeout_s`; `hard` presses reset."""

    mode: Literal["soft", "hard"] = "soft"
    timeout_s: float = Field(default=120, ge=0, le=3600)
    """Seconds the guest has to reboot by itself."""


class OperationParams(Params):
    operation_id: UUID


class RetryOperation(OperationParams):
    """Try a stuck operation's undo again."""


class AbandonOperation(OperationParams):
    """Give a stuck operation up: what it left is for a person to clean."""


class CancelOperation(OperationParams):
    """Cancel an operation under way: it is undone."""


class GetInstance(Read):
    """One instance as it is now."""

    instance_uuid: UUID


class ListInstances(Read):
    """The instances of this host."""

    power_state: Text | None = None
    """Only those in this state."""
    name: Text | None = None
    """Only the one of this name."""
    project_id: Text | None = None
    """Only those whose owner is this project."""


class GetHost(Read):
    """The host: capacity, use, abilities."""


class Ping(Read):
    """Whether the agent is there."""


class GetDiagnostics(Read):
    """Counters of a running guest, named as nova names them."""

    instance_uuid: UUID


class GetConsoleOutput(Read):
    """The end of the guest's console log."""

    instance_uuid: UUID
    tail_bytes: int = Field(default=100 * 1024, ge=1, le=1024 * 1024)
    """Bytes, at most: the last ones."""


class ListOperations(Read):
    """Operations, newest first."""

    instance_uuid: UUID | None = None
    """Only those on this instance."""
    status: Text | None = None
    """Only those with this status."""
    method: Text | None = None
    """Only those of this method."""
    limit: int = Field(default=100, ge=1, le=1000)
    """How many at most."""
    before: UUID | None = None
    """Those accepted before this operation: for the next page."""


class GetOperation(Read):
    """One operation: its steps, progress and where its time went."""

    operation_id: UUID


class ReplayEvents(Read):
    """Durable events again, from a sequence number on."""

    from_sequence: int = Field(ge=1, le=2**63 - 1)
    """The first sequence number that is wanted."""
    limit: int = Field(default=100, ge=1, le=1000)
    """How many at most."""


class Plan(Read):
    """What a changing method would do here: its steps, what it needs of the host, the XML. Does nothing."""

    method: Text
    """A changing method on an instance."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Its arguments, as it would get them."""
