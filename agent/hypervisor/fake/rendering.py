"""The XML that the real driver would make of a guest: for `plan` against the fake. Needs lxml."""

from __future__ import annotations

import platform
from pathlib import Path

from agent.hypervisor import domain
from agent.hypervisor.facts import HostFacts
from agent.hypervisor.ports import Guest


def render(guest: Guest, host: str, instances: Path) -> str:
    """As of a host with QEMU's emulation and nothing special."""
    facts = HostFacts(
        hostname=host,
        virt_type="qemu",
        emulator=Path(f"/usr/bin/qemu-system-{platform.machine()}"),
        instance_dir=instances / str(guest.spec.uuid),
    )
    return domain.build(guest, facts)
