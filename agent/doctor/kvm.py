"""KVM: usable by the agent, and does a guest really run with it?"""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.doctor.finding import Finding, Findings, broken, ok, warning
from agent.doctor.libvirtd import door
from agent.errors import AgentError
from agent.hypervisor.libvirt import accel
from agent.hypervisor.libvirt.connection import Lane
from agent.hypervisor.libvirt.host import Abilities, learn
from agent.settings import Settings

SLOW = "guests run with QEMU's own emulation, many times slower"


async def check(settings: Settings) -> Findings:
    hypervisor = settings.hypervisor
    if hypervisor.driver == "fake":
        return [ok("not needed: the driver is fake")]
    if hypervisor.virt_type == "qemu":
        return [ok("not used: hypervisor.virt_type is qemu")]
    why_not = await asyncio.to_thread(accel.closed, accel.KVM)
    if why_not is None:
        verdict = await accel.probe(await _emulator(settings), "kvm")
        if verdict.virt_type == "kvm":
            return [ok("a probe guest ran with it")]
        why_not = verdict.reason
    return [told(why_not, required=hypervisor.virt_type == "kvm")]


async def _emulator(settings: Settings) -> Path:
    """The one that libvirt runs guests with; without libvirt the usual one."""
    libvirt = door(settings)
    try:
        abilities = await libvirt.call(Lane.QUERY, learn, what="asking for the emulator")
    except AgentError:
        return Abilities().emulator
    finally:
        await libvirt.close()
    return abilities.emulator


def told(why_not: str, *, required: bool) -> Finding:
    mend = "turn virtualisation on in the firmware, load kvm_intel or kvm_amd, put the agent's user into group kvm"
    if required:
        return broken(f"hypervisor.virt_type is kvm, and KVM can't be used: {why_not}", mend)
    return warning(f"KVM can't be used: {why_not}; {SLOW}", f'{mend}; or set hypervisor.virt_type = "qemu"')
