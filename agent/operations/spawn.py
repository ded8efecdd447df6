"""spawn: an instance is made and started, or nothing of it is left."""

from __future__ import annotations

from agent.admission import Accept, AlreadySo, Decision, Deny
from agent.hypervisor.boot_order import boot_indexes
from agent.hypervisor.ports import DomainView, Guest
from agent.operations.base import Env, Operation, State
from agent.saga import Saga, Step
from agent.spec import ImageDisk, InstanceSpec, PluggedDisk, VolumeDisk


class Spawn(State):
    spec: InstanceSpec
    volumes: tuple[PluggedDisk, ...] = ()


def same(asked: InstanceSpec, there: InstanceSpec | None) -> bool:
    """Whether two specs are equal; secrets don't count, as the domain's metadata doesn't keep them."""
    return there is not None and asked.model_dump(mode="json") == there.model_dump(mode="json")


def admit(state: Spawn, view: DomainView | None) -> Decision:
    if view is None:
        return Accept()
    if same(state.spec, view.spec):
        return AlreadySo()
    return Deny(f"uuid {view.uuid} is in use by instance {view.name}, which has another spec; take another uuid")


async def check(env: Env, state: Spawn) -> Spawn:
    """Everything that can be refused before anything is made."""
    await env.hypervisor.disks.check(state.spec)
    for interface in state.spec.interfaces:
        await env.hypervisor.nics.check(interface)
    return state


async def fetch_images(env: Env, state: Spawn) -> Spawn:
    for disk in state.spec.disks:
        if isinstance(disk, ImageDisk):
            await env.hypervisor.disks.fetch(disk.image, env.progress)
    return state


async def make_directory(env: Env, state: Spawn) -> Spawn:
    await env.hypervisor.disks.make_directory(state.spec.uuid)
    return state


async def remove_directory(env: Env, state: Spawn) -> None:
    await env.hypervisor.disks.remove(state.spec.uuid)


async def create_disks(env: Env, state: Spawn) -> Spawn:
    for disk in state.spec.disks:
        if not isinstance(disk, VolumeDisk):
            await env.hypervisor.disks.create(state.spec, disk)
    if state.spec.config_drive is not None:
        await env.hypervisor.disks.create_config_drive(state.spec)
    return state


async def connect_volumes(env: Env, state: Spawn) -> Spawn:
    connected = []
    for disk in state.spec.disks:
        if isinstance(disk, VolumeDisk):
            plugged = await env.hypervisor.volumes.connect(disk.connection)
            connected.append(as_asked(state.spec, disk, plugged))
    return state.model_copy(update={"volumes": tuple(connected)})


def as_asked(spec: InstanceSpec, disk: VolumeDisk, plugged: PluggedDisk) -> PluggedDisk:
    """A connected volume with the looks that the spec gives it."""
    look = {
        "bus": disk.bus,
        "boot_index": boot_indexes(spec.disks).get(disk.id),
        "cache": disk.cache or plugged.cache,
        "serial": disk.serial or plugged.serial,
        "target": disk.device,
    }
    return plugged.model_copy(update=look)


async def disconnect_volumes(env: Env, state: Spawn) -> None:
    for disk in state.spec.disks:
        if isinstance(disk, VolumeDisk):
            await env.hypervisor.volumes.disconnect(disk.connection)


def guest(env: Env, state: Spawn) -> Guest:
    """The disks in the order of the spec, then what storage adds (the config drive)."""
    made = {disk.id: disk for disk in env.hypervisor.disks.layout(state.spec)}
    made |= {disk.id: disk for disk in state.volumes}
    asked = [disk.id for disk in state.spec.disks]
    ordered = [made.pop(disk_id) for disk_id in asked]
    return Guest(
        spec=state.spec,
        disks=(*ordered, *made.values()),
        generation=state.generation,
        request_id=env.request_id,
        operation_id=str(env.operation_id),
    )


async def define(env: Env, state: Spawn) -> Spawn:
    await env.hypervisor.domains.define(guest(env, state))
    return state


async def undefine(env: Env, state: Spawn) -> None:
    await env.hypervisor.domains.undefine(state.spec.uuid)


async def start(env: Env, state: Spawn) -> Spawn:
    await env.hypervisor.domains.start(state.spec.uuid)
    return state


async def power_off(env: Env, state: Spawn) -> None:
    await env.hypervisor.domains.power_off(state.spec.uuid)
    for interface in state.spec.interfaces:
        await env.hypervisor.nics.unplug(state.spec.uuid, interface)


SPAWN = Operation(
    Saga(
        "spawn",
        Spawn,
        (
            Step("check", check),  # makes nothing
            Step("images", fetch_images),  # the cache is everybody's and cleans itself
            Step("directory", make_directory, undo=remove_directory),
            Step("disks", create_disks),  # they are in the directory
            Step("volumes", connect_volumes, undo=disconnect_volumes),
            Step("define", define, undo=undefine),
            Step("start", start, undo=power_off),
        ),
    ),
    admit,
)
