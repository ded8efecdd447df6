"""attach_interface and detach_interface."""

from __future__ import annotations

from contextlib import suppress

from agent.admission import Accept, AlreadySo, Decision, Verb, admit
from agent.errors import NotFound
from agent.hypervisor.ports import DomainView
from agent.operations.base import Env, Operation, State
from agent.saga import Saga, Step
from agent.spec import AnyInterface


class AttachInterface(State):
    interface: AnyInterface


class DetachInterface(State):
    port_id: str


def admit_attach(state: AttachInterface, view: DomainView | None) -> Decision:
    decision = admit(Verb.ATTACH, view.power_state if view else None)
    if isinstance(decision, Accept) and view is not None and state.interface.port_id in ports(view):
        return AlreadySo()
    return decision


def admit_detach(state: DetachInterface, view: DomainView | None) -> Decision:
    decision = admit(Verb.DETACH, view.power_state if view else None)
    if isinstance(decision, Accept) and view is not None and state.port_id not in ports(view) | view.returning:
        return AlreadySo()
    return decision


def ports(view: DomainView) -> set[str]:
    return {interface.port_id for interface in view.interfaces}


async def check(env: Env, state: AttachInterface) -> AttachInterface:
    await env.hypervisor.nics.check(state.interface)
    return state


async def attach(env: Env, state: AttachInterface) -> AttachInterface:
    await env.hypervisor.domains.attach_interface(state.instance_uuid, state.interface)
    return state


async def take_back(env: Env, state: AttachInterface) -> None:
    with suppress(NotFound):
        await env.hypervisor.domains.detach_interface(state.instance_uuid, state.interface.port_id)
    await env.hypervisor.nics.unplug(state.instance_uuid, state.interface)


async def detach(env: Env, state: DetachInterface) -> DetachInterface:
    await env.hypervisor.domains.detach_interface(state.instance_uuid, state.port_id)
    return state


ATTACH_INTERFACE = Operation(
    Saga(
        "attach_interface",
        AttachInterface,
        (
            Step("check", check),  # makes nothing
            Step("attach", attach, undo=take_back),
        ),
    ),
    admit_attach,
    attached=lambda state: state.interface.port_id,
)

DETACH_INTERFACE = Operation(
    Saga(
        "detach_interface",
        DetachInterface,
        (
            # No undo: a guest that doesn't let go still has its interface, and the error says so.
            Step("detach", detach),
        ),
    ),
    admit_detach,
)
