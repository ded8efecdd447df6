"""destroy: the guest is stopped and everything of it removed. It only goes forward; repeating it is harmless."""

from __future__ import annotations

from agent.admission import Verb
from agent.errors import NotFound
from agent.operations.base import Env, Operation, State, by_state
from agent.saga import Saga, Step
from agent.spec import InstanceSpec, VolumeConnection


class Destroy(State):
    delete_disks: bool = True
    spec: InstanceSpec | None = None
    volumes: tuple[VolumeConnection, ...] = ()
    """Both from the domain's metadata, kept here before the domain goes."""


async def remember(env: Env, state: Destroy) -> Destroy:
    try:
        view = await env.hypervisor.domains.get(state.instance_uuid)
    except NotFound:
        return state
    return state.model_copy(update={"spec": view.spec, "volumes": view.volumes})


async def power_off(env: Env, state: Destroy) -> Destroy:
    await env.hypervisor.domains.power_off(state.instance_uuid)
    return state


async def unplug(env: Env, state: Destroy) -> Destroy:
    for interface in state.spec.interfaces if state.spec else ():
        await env.hypervisor.nics.unplug(state.instance_uuid, interface)
    return state


async def disconnect_volumes(env: Env, state: Destroy) -> Destroy:
    for connection in state.volumes:
        await env.hypervisor.volumes.disconnect(connection)
    return state


async def remove_disks(env: Env, state: Destroy) -> Destroy:
    if state.delete_disks:
        await env.hypervisor.disks.remove(state.instance_uuid)
    return state


async def undefine(env: Env, state: Destroy) -> Destroy:
    await env.hypervisor.domains.undefine(state.instance_uuid)
    return state


DESTROY = Operation(
    Saga(
        "destroy",
        Destroy,
        (
            # No undo anywhere: what is gone is gone, and asking again goes on where it stopped.
            Step("remember", remember),
            Step("power_off", power_off),
            Step("unplug", unplug),
            Step("volumes", disconnect_volumes),
            Step("disks", remove_disks),
            # Last, so that the instance is known until nothing else of it is left.
            Step("undefine", undefine),
        ),
    ),
    by_state(Verb.DESTROY),
    preempts=True,
    # Disks that are to be kept may be of a spawn whose undo would remove them.
    ends_earlier=lambda state: state.delete_disks,
)
