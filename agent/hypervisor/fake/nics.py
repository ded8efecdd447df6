"""The fake's interfaces: taps are files, bridges and networks are names. Behind the `Nics` port."""

from __future__ import annotations

from uuid import UUID

from agent.errors import InvalidRequest
from agent.hypervisor.fake.faults import Gate, gated
from agent.hypervisor.fake.world import World, tap_name
from agent.spec import AnyInterface


class FakeNics:
    port = "nics"

    def __init__(self, world: World, gate: Gate) -> None:
        self.gate = gate
        self._world = world

    @gated
    async def check(self, interface: AnyInterface) -> None:
        host = self._world.host
        match interface.type:
            case "bridge":
                _need("bridge", interface.bridge, host.bridges)
            case "network":
                _need("network", interface.network, host.networks)
            case "user":
                pass

    @gated
    async def unplug(self, uuid: UUID, interface: AnyInterface) -> None:
        if (tap := tap_name(interface)) is not None:
            self._world.remove_tap(tap)


def _need(what: str, name: str, there: tuple[str, ...] | None) -> None:
    if there is not None and name not in there:
        mend = f"use one of {', '.join(there)}" if there else f"this host has no {what}"
        raise InvalidRequest.field(f"vif.{what}", f"no {what} {name!r} on this host", mend)
