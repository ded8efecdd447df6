"""One connection to the libvirt that the settings name, for a check of it."""

from __future__ import annotations

from agent.hypervisor.libvirt.connection import Lane, Libvirt
from agent.hypervisor.libvirt.driver import access
from agent.settings import Settings

CALL_S = 15.0


def door(settings: Settings) -> Libvirt:
    """Opened with the first call; close it."""
    return Libvirt(access(settings), workers={Lane.QUERY: 1}, timeouts={Lane.QUERY: CALL_S})
