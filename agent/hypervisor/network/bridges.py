"""The port `Nics` for bridges, libvirt's networks and user-mode networks.

libvirt makes the taps and puts them into their bridge, so there is little to do here: to say beforehand
that a bridge isn't there (libvirt would say so only at the start), and to clear up after a guest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog

from agent.errors import InvalidRequest
from agent.hypervisor.network.taps import NET, remove_tap
from agent.hypervisor.targets import tap_name
from agent.spec import AnyInterface, BridgeInterface, NetworkInterface, UserInterface

log = structlog.get_logger(__name__)

NetworkExists = Callable[[str], Awaitable[bool]]
"""Whether libvirt has an active network of that name."""


class HostNics:
    """Only libvirt knows its networks, so the question is handed in."""

    def __init__(self, network_exists: NetworkExists) -> None:
        self._network_exists = network_exists
        self._checks: dict[type[Any], Callable[[Any], Awaitable[None]]] = {
            BridgeInterface: self._check_bridge,
            NetworkInterface: self._check_network,
            UserInterface: self._check_nothing,
        }

    async def check(self, interface: AnyInterface) -> None:
        await self._checks[type(interface)](interface)

    async def unplug(self, uuid: UUID, interface: AnyInterface) -> None:
        """A tap that can't be removed is told in the log and left: it harms nobody but a guest that gets the
        same port again, while an error here would keep the instance from ever being gone."""
        if isinstance(interface, UserInterface):  # it has no tap
            return
        tap = tap_name(interface.port_id)
        try:
            await asyncio.to_thread(remove_tap, tap)
        except OSError as error:
            log.warning("a left-over tap can't be removed", tap=tap, instance=str(uuid), error=str(error))

    async def _check_bridge(self, interface: BridgeInterface) -> None:
        name = interface.bridge
        # A name with a slash would look elsewhere; the kernel allows neither that nor the two dots.
        safe = "/" not in name and name not in {"", ".", ".."}
        if not (safe and (NET / name / "bridge").is_dir()):
            raise InvalidRequest.field(
                f"interfaces[{interface.port_id}].bridge", f"no bridge {name!r} on this host", "name one"
            )

    async def _check_network(self, interface: NetworkInterface) -> None:
        if not await self._network_exists(interface.network):
            raise InvalidRequest.field(
                f"interfaces[{interface.port_id}].network",
                f"no active network {interface.network!r} in libvirt",
                "name one, or start it",
            )

    async def _check_nothing(self, interface: UserInterface) -> None:
        """It needs nothing of the host."""
