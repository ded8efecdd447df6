"""What guests can't have on this host. A spawn that asks for it is refused, and its plan says so beforehand."""

from __future__ import annotations

from collections.abc import Iterator

from agent.doctor.finding import Finding, Findings, broken, ok, warning
from agent.doctor.libvirtd import door
from agent.hypervisor.libvirt.connection import Lane
from agent.hypervisor.libvirt.host import Abilities, learn
from agent.settings import Settings


async def check(settings: Settings) -> Findings:
    if settings.hypervisor.driver == "fake":
        return [ok("not needed: the driver is fake")]
    libvirt = door(settings)
    try:
        abilities = await libvirt.call(Lane.QUERY, learn, what="learning what this host can do", timeout=45)
    finally:
        await libvirt.close()
    return list(lacks(abilities)) or [ok(f"BIOS and UEFI, {', '.join(sorted(abilities.machines))}")]


def lacks(abilities: Abilities) -> Iterator[Finding]:
    """Pure: against what an agent's host may have at best."""
    best = Abilities()
    if not abilities.machines:
        says = "libvirt offers no x86_64 guests"
        yield broken(says, "install QEMU for x86_64 (qemu-system-x86) and restart libvirt")
        return
    if "q35" not in abilities.machines:
        yield broken("QEMU has no machine q35, which is what guests get by default", "install a newer QEMU")
    for what, missing in (
        ("machines", best.machines - abilities.machines - {"q35"}),
        ("disk buses", best.disk_buses - abilities.disk_buses),
    ):
        if missing:
            yield warning(f"no {what} {', '.join(sorted(missing))}", "guests that ask for them need another host")
    if not abilities.uefi:
        yield warning("no UEFI firmware: guests that ask for it are refused", "install OVMF (ovmf, edk2-ovmf)")
