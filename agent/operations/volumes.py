"""attach_volume and detach_volume."""

from __future__ import annotations

from contextlib import suppress

from agent.admission import Accept, AlreadySo, Decision, Deny, Verb, admit
from agent.errors import NotFound
from agent.hypervisor.ports import DomainView
from agent.operations.base import Env, Operation, State
from agent.saga import Saga, Step
from agent.spec import DiskBus, PluggedDisk, VolumeConnection


class AttachVolume(State):
    connection: VolumeConnection
    bus: DiskBus = DiskBus.VIRTIO
    boot_index: int | None = None
    device: str | None = None
    disk: PluggedDisk | None = None


class DetachVolume(State):
    volume_id: str
    connection: VolumeConnection | None = None
    """From the domain's metadata, kept here before it is forgotten there."""


def admit_attach(state: AttachVolume, view: DomainView | None) -> Decision:
    decision = admit(Verb.ATTACH, view.power_state if view else None)
    if isinstance(decision, Accept) and view is not None:
        there = {disk.id: disk for disk in view.disks}.get(state.connection.volume_id)
        if there is not None:
            return AlreadySo() if there.removable else Deny(f"{there.id} is a disk of the instance, not a volume")
    return decision


def admit_detach(state: DetachVolume, view: DomainView | None) -> Decision:
    decision = admit(Verb.DETACH, view.power_state if view else None)
    if isinstance(decision, Accept) and view is not None:
        there = {disk.id: disk for disk in view.disks}.get(state.volume_id)
        if there is None:
            left = view.returning | {volume.volume_id for volume in view.volumes}
            return Accept() if state.volume_id in left else AlreadySo()
        if not there.removable:
            return Deny(f"{there.id} is a disk of the instance, not a volume; it goes with the instance")
    return decision


async def note(env: Env, state: AttachVolume) -> AttachVolume:
    await env.hypervisor.domains.note_volume(state.instance_uuid, state.connection)
    return state


async def forget(env: Env, state: AttachVolume) -> None:
    await env.hypervisor.domains.forget_volume(state.instance_uuid, state.connection.volume_id)


async def connect(env: Env, state: AttachVolume) -> AttachVolume:
    plugged = await env.hypervisor.volumes.connect(state.connection)
    look = {"bus": state.bus, "boot_index": state.boot_index, "target": state.device}
    disk = plugged.model_copy(update=look)
    return state.model_copy(update={"disk": disk})


async def disconnect(env: Env, state: AttachVolume) -> None:
    await env.hypervisor.volumes.disconnect(state.connection)


async def attach(env: Env, state: AttachVolume) -> AttachVolume:
    assert state.disk is not None  # noqa: S101 - the step before made it
    await env.hypervisor.domains.attach_disk(state.instance_uuid, state.disk)
    return state


async def take_back(env: Env, state: AttachVolume) -> None:
    with suppress(NotFound):
        await env.hypervisor.domains.detach_disk(state.instance_uuid, state.connection.volume_id)


async def remember(env: Env, state: DetachVolume) -> DetachVolume:
    view = await env.hypervisor.domains.get(state.instance_uuid)
    noted = {volume.volume_id: volume for volume in view.volumes}
    return state.model_copy(update={"connection": noted.get(state.volume_id)})


async def detach(env: Env, state: DetachVolume) -> DetachVolume:
    await env.hypervisor.domains.detach_disk(state.instance_uuid, state.volume_id)
    return state


async def disconnect_detached(env: Env, state: DetachVolume) -> DetachVolume:
    if state.connection is not None:
        await env.hypervisor.volumes.disconnect(state.connection)
    return state


async def forget_detached(env: Env, state: DetachVolume) -> DetachVolume:
    await env.hypervisor.domains.forget_volume(state.instance_uuid, state.volume_id)
    return state


ATTACH_VOLUME = Operation(
    Saga(
        "attach_volume",
        AttachVolume,
        (
            Step("note", note, undo=forget),
            Step("connect", connect, undo=disconnect),
            Step("attach", attach, undo=take_back),
        ),
    ),
    admit_attach,
    attached=lambda state: state.connection.volume_id,
)

DETACH_VOLUME = Operation(
    Saga(
        "detach_volume",
        DetachVolume,
        (
            # No undo anywhere: a guest that doesn't let go still has its volume, and the error says so. Asking
            # again goes on where it stopped.
            Step("remember", remember),
            Step("detach", detach),
            Step("disconnect", disconnect_detached),
            # Last, so that it is known until it is disconnected.
            Step("forget", forget_detached),
        ),
    ),
    admit_detach,
)
