"""Calls past their deadline: given up by their caller, they take effect late, and then nothing is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent import deadline
from agent.errors import NotFound, TimedOut, Unavailable
from agent.spec import InstanceSpec, PowerState
from tests.contract.world import World, guest_of, made, running

pytestmark = pytest.mark.timeout(120)


Call = Callable[[], Awaitable[object]]


async def given_up(world: World, call: Call) -> None:
    """It was begun, and hasn't returned at its deadline. One that wasn't begun until then, on a busy box, has done
    nothing, and is made again."""
    async with asyncio.timeout(world.patience):
        while not await _was_begun(call):
            pass


async def _was_begun(call: Call) -> bool:
    with deadline.within(0.3), pytest.raises((TimedOut, Unavailable)) as caught:
        await call()
    return caught.type is TimedOut


@asynccontextmanager
async def late(world: World, spec: InstanceSpec, call: Call) -> AsyncIterator[None]:
    """Inside, the call hangs and has been given up; afterwards its instance has settled."""
    domains = world.hypervisor.domains
    async with world.daemon_deaf():
        await given_up(world, call)
        settling = asyncio.create_task(domains.settle(spec.uuid))
        done, _ = await asyncio.wait({settling}, timeout=world.moment)
        assert not done
        yield
    await asyncio.wait_for(settling, world.patience)


async def remove(world: World, spec: InstanceSpec) -> None:
    """As `destroy` does it; then it is gone, and stays away."""
    domains = world.hypervisor.domains
    mark = world.observed.mark()
    await domains.power_off(spec.uuid)
    await domains.undefine(spec.uuid)
    await asyncio.sleep(world.moment)
    with pytest.raises(NotFound):
        await domains.get(spec.uuid)
    assert PowerState.RUNNING not in {state for state, _ in world.observed.power(spec.uuid, mark)}


async def test_a_start_that_was_given_up_and_takes_effect_late_is_no_ghost(world: World) -> None:
    domains = world.hypervisor.domains
    spec = await running(world, world.spec())
    await domains.power_off(spec.uuid)
    async with late(world, spec, lambda: domains.start(spec.uuid)):
        pass
    assert (await domains.get(spec.uuid)).power_state is PowerState.RUNNING
    await remove(world, spec)


async def test_a_definition_that_was_given_up_and_takes_effect_late_is_no_ghost(world: World) -> None:
    domains = world.hypervisor.domains
    spec = await made(world, world.spec())
    await domains.undefine(spec.uuid)
    async with late(world, spec, lambda: domains.define(guest_of(world, spec))):
        pass
    assert (await domains.get(spec.uuid)).power_state is PowerState.SHUTDOWN
    await remove(world, spec)


async def test_a_disk_attached_late_is_seen_once_the_instance_has_settled(world: World) -> None:
    domains = world.hypervisor.domains
    spec = await made(world, world.spec())
    disk = await world.hypervisor.volumes.connect(world.file_volume())
    async with late(world, spec, lambda: domains.attach_disk(spec.uuid, disk)):
        pass
    assert [view.id for view in (await domains.get(spec.uuid)).disks] == [disk.id]
    await domains.detach_disk(spec.uuid, disk.id)
    assert (await domains.get(spec.uuid)).disks == ()


async def test_other_instances_are_settled_all_the_while(world: World) -> None:
    domains = world.hypervisor.domains
    sick, well = await made(world, world.spec()), await made(world, world.spec())
    async with late(world, sick, lambda: domains.undefine(sick.uuid)):
        await asyncio.wait_for(domains.settle(well.uuid), world.moment)


async def test_a_call_that_hangs_in_its_guest_is_broken_off_where_the_guest_shall_end(world: World) -> None:
    domains = world.hypervisor.domains
    spec, other = await running(world, world.spec()), await running(world, world.spec())
    async with world.guest_deaf(spec.uuid):
        await given_up(world, lambda: domains.pause(spec.uuid))
        await asyncio.wait_for(domains.break_off(spec.uuid), world.patience)
        await asyncio.wait_for(domains.settle(spec.uuid), world.patience)
        await remove(world, spec)
    await domains.break_off(other.uuid)
    assert (await domains.get(other.uuid)).power_state is PowerState.RUNNING


async def test_where_the_hypervisor_itself_hangs_nothing_is_broken_off(world: World) -> None:
    domains = world.hypervisor.domains
    spec = await running(world, world.spec())
    async with world.daemon_deaf():
        await given_up(world, lambda: domains.pause(spec.uuid))
        with deadline.within(world.moment), pytest.raises((TimedOut, Unavailable)):
            await domains.break_off(spec.uuid)
        await asyncio.sleep(3)  # longer than an answer is waited for before a plug is pulled
    await asyncio.wait_for(domains.settle(spec.uuid), world.patience)
    assert (await domains.get(spec.uuid)).power_state is PowerState.PAUSED


async def test_a_read_that_was_given_up_leaves_nothing_to_wait_for(world: World) -> None:
    domains = world.hypervisor.domains
    spec = await made(world, world.spec())
    await domains.get(spec.uuid)
    async with world.daemon_deaf():
        await given_up(world, lambda: domains.get(spec.uuid))
        await asyncio.wait_for(domains.settle(spec.uuid), world.moment)


async def test_a_suspect_instance_that_rests_is_settled(world: World) -> None:
    spec = await running(world, world.spec())
    world.hypervisor.domains.suspect(spec.uuid)
    await asyncio.wait_for(world.hypervisor.domains.settle(spec.uuid), world.patience)
