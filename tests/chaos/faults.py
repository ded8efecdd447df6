"""The accidents. Each is one function that does it, waits, and has mended it when it returns.

Two lanes run side by side, one for the agent's process and one for all around it, so that a kill may meet a
broker that is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable
from uuid import UUID

from agent.errors import NoCapacity
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault, When
from tests.chaos.ground import HEARTBEAT_S, Ground
from tests.chaos.hosts import FakeHost, LibvirtHost

Act = Callable[[Ground, random.Random], Awaitable[None]]

PLACES: dict[str, tuple[str, ...]] = {
    "spawn": (
        "disks.make_directory",
        "disks.create",
        "nics.check",
        "domains.define",
        "domains.start",
        "domains.stamp",
        "domains.get",
    ),
    "destroy": ("domains.power_off", "nics.unplug", "disks.remove", "domains.undefine"),
    "attach_volume": ("volumes.connect", "domains.attach_disk"),
    "detach_volume": ("domains.detach_disk",),
    "attach_interface": ("nics.check", "domains.attach_interface"),
    "detach_interface": ("domains.detach_interface",),
    "start": ("domains.start",),
    "stop": ("domains.shutdown", "domains.power_off"),
    "reboot": ("domains.reset", "domains.unpause"),
    "pause": ("domains.pause",),
    "unpause": ("domains.unpause",),
    "suspend": ("domains.suspend",),
    "resume": ("domains.start",),
}
"""Every call that an operation's steps make: a place to die at, before, half way and after."""
WHEN: tuple[When, ...] = ("before", "half", "after")
DIES_WITHIN_S = 3.0


def name(act: Act) -> str:
    return act.__name__.replace("_", " ")


# The agent.


async def kill_agent(ground: Ground, rng: random.Random) -> None:
    await ground.agent.killed()


async def kill_agent_at_a_step(ground: Ground, rng: random.Random) -> None:
    world = _world(ground)
    call, when = _place(ground, rng)
    try:
        world.faults.add(Fault(call=call, when=when, die=True, times=1))
    except NoCapacity:  # the disk is full just now, and the order is a file on it
        ground.story.tell(f"  no room for the order to die at {call}")
        return
    died = await ground.agent.dies(DIES_WITHIN_S)
    await _take_back(world, call)
    if not died and not await ground.agent.dies(0.2):
        ground.story.tell(f"  nobody came by {call} ({when})")
        return
    ground.story.counts["kills at a step"] += 1
    ground.story.tell(f"  it died at {call} ({when})")


async def _take_back(world: FakeWorld, call: str) -> None:
    """An order nobody came by. It takes a file to do that, so on a full disk it waits for room."""
    while True:
        try:
            return world.faults.clear(call)
        except NoCapacity:
            await asyncio.sleep(0.2)


async def kill_agent_twice(ground: Ground, rng: random.Random) -> None:
    """Again while it recovers."""
    await ground.agent.killed()
    await asyncio.sleep(rng.random() * 0.3)
    await ground.agent.killed()


async def stop_agent(ground: Ground, rng: random.Random) -> None:
    await ground.agent.stopped()


async def freeze_agent(ground: Ground, rng: random.Random) -> None:
    await ground.agent.frozen(rng.uniform(0.5, 4 * HEARTBEAT_S))


# The broker and the way to it.


async def restart_broker(ground: Ground, rng: random.Random) -> None:
    await asyncio.to_thread(ground.broker.restart)


async def kill_broker(ground: Ground, rng: random.Random) -> None:
    await asyncio.to_thread(ground.broker.kill)
    await asyncio.sleep(rng.random() * 2)
    await asyncio.to_thread(ground.broker.start)


async def freeze_broker(ground: Ground, rng: random.Random) -> None:
    ground.broker.freeze()
    try:
        await asyncio.sleep(rng.uniform(0.5, 4 * HEARTBEAT_S))
    finally:
        ground.broker.thaw()


async def cut_link(ground: Ground, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        ground.story.tell(f"  {ground.link.cut()} ends reset")
        await asyncio.sleep(rng.random())


async def stall_link(ground: Ground, rng: random.Random) -> None:
    ground.link.freeze()
    try:
        await asyncio.sleep(rng.uniform(0.2, 4 * HEARTBEAT_S))
    finally:
        ground.link.mend()


async def half_open_link(ground: Ground, rng: random.Random) -> None:
    link = ground.link
    link.drop(rng.choice(([link.up], [link.down], [link.up, link.down])))
    try:
        await asyncio.sleep(rng.uniform(0.2, 4 * HEARTBEAT_S))
    finally:
        link.mend()


async def delete_queue(ground: Ground, rng: random.Random) -> None:
    """With what is in it: whoever wasn't answered asks again."""
    name = f"compute.{ground.agent.host}" + rng.choice(("", "", ".query"))
    done = await rng.choice(ground.clients).line.delete_queue(name)
    ground.story.tell(f"  queue {name} {'deleted' if done else 'not deleted'}")


async def memory_alarm(ground: Ground, rng: random.Random) -> None:
    await asyncio.to_thread(ground.broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.00001")
    try:
        await asyncio.sleep(rng.uniform(0.5, 3))
    finally:
        await asyncio.to_thread(ground.broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.6")


async def disk_full(ground: Ground, rng: random.Random) -> None:
    """To the last byte of the agent's own file system."""
    ballast = ground.agent.state_dir / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        await asyncio.sleep(rng.uniform(0.3, 3))
    finally:
        ballast.unlink()


# The hypervisor and its guests.


async def failing_call(ground: Ground, rng: random.Random) -> None:
    error = rng.choice(("no_capacity", "unavailable", "operation_failed"))
    call, when = _place(ground, rng)
    _world(ground).faults.add(Fault(call=call, when=when, error=error, times=1))
    await asyncio.sleep(rng.uniform(0.5, 2))
    _world(ground).faults.clear(call)
    ground.story.tell(f"  {call} ({when}) failed with {error}, if anybody came by")


async def hypervisor_away(ground: Ground, rng: random.Random) -> None:
    _world(ground).outage(True)
    try:
        await asyncio.sleep(rng.uniform(0.3, 2))
    finally:
        _world(ground).outage(False)


async def kill_guest(ground: Ground, rng: random.Random) -> None:
    world = _world(ground)
    on = [d.uuid for d in world.domains().values() if d.spec is not None and d.active]
    if not on:
        return
    uuid = rng.choice(sorted(on))
    ground.disturbed.add(str(uuid))
    try:
        world.kill(uuid)
    except (KeyError, ValueError):
        return
    ground.story.tell(f"  guest {uuid} killed")


async def kill_libvirtd(ground: Ground, rng: random.Random) -> None:
    libvirtd = _libvirt(ground).libvirtd
    await asyncio.to_thread(libvirtd.kill)
    await asyncio.sleep(rng.random())
    await asyncio.to_thread(libvirtd.start)


async def freeze_libvirtd(ground: Ground, rng: random.Random) -> None:
    libvirtd = _libvirt(ground).libvirtd
    libvirtd.freeze()
    try:
        await asyncio.sleep(rng.uniform(0.5, 5))
    finally:
        libvirtd.thaw()


async def kill_qemu(ground: Ground, rng: random.Random) -> None:
    if (guest := _some_qemu(ground, rng)) is not None:
        os.kill(guest[1], signal.SIGKILL)


async def freeze_qemu(ground: Ground, rng: random.Random) -> None:
    if (guest := _some_qemu(ground, rng)) is None:
        return
    os.kill(guest[1], signal.SIGSTOP)
    await asyncio.sleep(rng.uniform(0.5, 4))
    try:
        os.kill(guest[1], signal.SIGCONT)
    except ProcessLookupError:
        ground.story.tell("  it was destroyed meanwhile")


def _some_qemu(ground: Ground, rng: random.Random) -> tuple[str, int] | None:
    guests = sorted(_libvirt(ground).guests().items())
    if not guests:
        return None
    uuid, pid = rng.choice(guests)
    ground.disturbed.add(str(UUID(uuid)))
    ground.story.tell(f"  guest {uuid}, process {pid}")
    return uuid, pid


def _place(ground: Ground, rng: random.Random) -> tuple[str, When]:
    """Where a request that isn't answered yet may come by."""
    coming = [asked.method for asked in ground.asked.values() if not asked.answered.is_set()]
    return rng.choice(PLACES[rng.choice([m for m in coming if m in PLACES] or list(PLACES))]), rng.choice(WHEN)


def _world(ground: Ground) -> FakeWorld:
    assert isinstance(ground.host, FakeHost)
    return ground.host.world


def _libvirt(ground: Ground) -> LibvirtHost:
    assert isinstance(ground.host, LibvirtHost)
    return ground.host


AGENT: tuple[Act, ...] = (kill_agent, kill_agent_twice, stop_agent, freeze_agent)
AROUND: tuple[Act, ...] = (
    restart_broker,
    kill_broker,
    freeze_broker,
    cut_link,
    stall_link,
    half_open_link,
    delete_queue,
    memory_alarm,
    disk_full,
)
BY_DRIVER: dict[str, tuple[tuple[Act, ...], tuple[Act, ...]]] = {
    # Several times, since it has many places to die at.
    "fake": ((kill_agent_at_a_step,) * 6 + AGENT, (*AROUND, failing_call, hypervisor_away, kill_guest)),
    "libvirt": (AGENT, (*AROUND, kill_libvirtd, kill_libvirtd, freeze_libvirtd, kill_qemu, freeze_qemu)),
}
"""What may happen to the agent, and what around it."""
