"""`plan`: what a changing method would do here. Nothing is done and nothing is journaled."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agent.errors import InvalidRequest
from agent.hypervisor.ports import Hypervisor
from agent.operations import TABLE
from agent.operations.base import Env
from agent.operations.interfaces import AttachInterface
from agent.operations.spawn import Spawn, as_asked, check, guest
from agent.operations.volumes import AttachVolume
from agent.rpc import convert
from agent.rpc.schema import METHODS, params, results
from agent.rpc.schema.base import Message
from agent.rpc.validation import validate
from agent.secret import Secret
from agent.spec import Frozen, ImageDisk, InstanceSpec, VolumeDisk

NOBODY = UUID(int=0)


async def plan(hypervisor: Hypervisor, method: str, args: dict[str, Any]) -> results.Planned:
    """Raises InvalidRequest as the method itself would."""
    if method not in TABLE:
        known = ", ".join(TABLE)
        raise InvalidRequest.field("method", f"{method!r} can't be planned", f"take one of {known}")
    asked = without_contents(validate(METHODS[method], args))
    state = convert.STATES[method](asked)
    steps = TABLE[method].saga.steps
    return results.Planned(
        method=method,
        steps=tuple(results.PlannedStep(name=step.name, undo=step.undo is not None) for step in steps),
        resources=resources(state),
        problems=await problems(hypervisor, state),
        xml=xml(hypervisor, state),
    )


def without_contents(asked: Message) -> Message:
    """A plan needs no secrets and is best asked without; the stars in their place aren't base64 as a file's
    content has to be."""
    if not isinstance(asked, params.Spawn) or asked.instance.config_drive is None:
        return asked
    drive = asked.instance.config_drive
    files = tuple(file.model_copy(update={"content": Secret("")}) for file in drive.files)
    instance = asked.instance.model_copy(update={"config_drive": drive.model_copy(update={"files": files})})
    return asked.model_copy(update={"instance": instance})


async def problems(hypervisor: Hypervisor, state: Frozen) -> tuple[str, ...]:
    """What the first step would refuse; the rest can be shown all the same."""
    if not isinstance(state, Spawn):
        return ()
    try:
        await check(_env(hypervisor), state)
    except InvalidRequest as problem:
        return (problem.message,)
    return ()


def xml(hypervisor: Hypervisor, state: Frozen) -> str | None:
    """The domain, for a spawn; its volumes are described, not connected."""
    if not isinstance(state, Spawn):
        return None
    plugged = [
        as_asked(state.spec, disk, hypervisor.volumes.describe(disk.connection))
        for disk in state.spec.disks
        if isinstance(disk, VolumeDisk)
    ]
    return hypervisor.domains.render(guest(_env(hypervisor), state.model_copy(update={"volumes": tuple(plugged)})))


def _env(hypervisor: Hypervisor) -> Env:
    return Env(hypervisor, progress=lambda *_: None, operation_id=NOBODY, request_id=None)


def resources(state: Frozen) -> dict[str, Any]:
    """What it needs of the host."""
    match state:
        case Spawn():
            return _of_spec(state.spec)
        case AttachVolume():
            return {"volumes": [state.connection.volume_id]}
        case AttachInterface():
            return {"interfaces": [_network(state.interface)]}
    return {}


def _of_spec(spec: InstanceSpec) -> dict[str, Any]:
    return {
        "vcpus": spec.vcpus,
        "memory_mb": spec.memory_mb,
        "disk_mb": sum(getattr(disk, "size_mb", None) or 0 for disk in spec.disks),
        "images": [disk.image.url for disk in spec.disks if isinstance(disk, ImageDisk)],
        "volumes": [disk.connection.volume_id for disk in spec.disks if isinstance(disk, VolumeDisk)],
        "interfaces": [_network(interface) for interface in spec.interfaces],
    }


def _network(interface: Any) -> str:
    return f"{interface.type}:{getattr(interface, 'bridge', None) or getattr(interface, 'network', '')}"
