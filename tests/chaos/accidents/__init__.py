"""The accidents. Each is one function that does it, waits, and has mended it when it returns.

A side has two lanes that run beside each other, one for the agent's process and one for all around it; the broker,
on which both sides stand, has a third. So a kill may meet a broker that is away.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from tests.chaos.accidents import broker, fake, libvirt, link, process, steps
from tests.chaos.ground import Ground, Side

Act = Callable[[Side, random.Random], Awaitable[None]]
BrokerAct = Callable[[Ground, random.Random], Awaitable[None]]

PROCESS: tuple[Act, ...] = (
    process.kill_agent,
    process.kill_agent_twice,
    process.stop_agent,
    process.freeze_agent,
    process.clock_jump,
)
AROUND: tuple[Act, ...] = (
    link.cut_link,
    link.stall_link,
    link.half_open_link,
    link.delete_queue,
    process.disk_full,
)
BROKER: tuple[BrokerAct, ...] = (
    broker.restart_broker,
    broker.kill_broker,
    broker.freeze_broker,
    broker.memory_alarm,
)
AT_A_STEP: dict[str, Act] = {"fake": steps.kill_agent_at_a_call, "libvirt": steps.kill_agent_at_a_step}
BY_DRIVER: dict[str, tuple[Act, ...]] = {
    "fake": (*AROUND, fake.failing_call, fake.hypervisor_away, fake.kill_guest),
    "libvirt": (
        *AROUND,
        libvirt.kill_libvirtd,
        steps.kill_libvirtd_at_a_step,
        libvirt.freeze_libvirtd,
        libvirt.kill_qemu,
        steps.kill_qemu_at_a_step,
        libvirt.freeze_qemu,
    ),
}
"""What may happen around the agent."""


def name(act: Act | BrokerAct) -> str:
    return act.__name__.replace("_", " ")
