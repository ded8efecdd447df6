"""Starting, stopping and all between, on guests that have nothing to boot."""

from __future__ import annotations

import asyncio

import pytest

from agent.errors import Conflict
from agent.spec import PowerState
from tests.contract.world import World, guest_of, made, running

pytestmark = pytest.mark.timeout(120)

OFF = frozenset({PowerState.SHUTDOWN})
ON = frozenset({PowerState.RUNNING})


async def state(world: World, spec_uuid: object) -> tuple[PowerState, str]:
    for view in await world.hypervisor.domains.list():
        if view.uuid == spec_uuid:
            return view.power_state, view.reason
    raise AssertionError("not listed")


async def test_a_defined_guest_is_off(world: World) -> None:
    spec = await made(world, world.spec())
    view = await world.hypervisor.domains.get(spec.uuid)
    assert view.power_state is PowerState.SHUTDOWN
    assert (view.name, view.generation, view.request_id) == (spec.name, 1, "contract")


async def test_a_started_guest_runs_when_start_returns_and_starting_it_again_changes_nothing(
    world: World,
) -> None:
    spec = await running(world, world.spec())
    assert await state(world, spec.uuid) == (PowerState.RUNNING, "booted")
    await world.hypervisor.domains.start(spec.uuid)
    assert await state(world, spec.uuid) == (PowerState.RUNNING, "booted")


async def test_a_guest_whose_plug_was_pulled_is_off_and_can_start_again(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.power_off(spec.uuid)
    assert await state(world, spec.uuid) == (PowerState.SHUTDOWN, "destroyed")
    await world.hypervisor.domains.power_off(spec.uuid)
    assert await state(world, spec.uuid) == (PowerState.SHUTDOWN, "destroyed")
    await world.hypervisor.domains.start(spec.uuid)
    assert await state(world, spec.uuid) == (PowerState.RUNNING, "booted")


async def test_a_paused_guest_stays_paused_until_it_is_unpaused(world: World) -> None:
    spec = await running(world, world.spec())
    for _ in range(2):
        await world.hypervisor.domains.pause(spec.uuid)
        assert await state(world, spec.uuid) == (PowerState.PAUSED, "user")
    for _ in range(2):
        await world.hypervisor.domains.unpause(spec.uuid)
        assert await state(world, spec.uuid) == (PowerState.RUNNING, "unpaused")


async def test_a_suspended_guest_is_restored_by_start(world: World) -> None:
    spec = await running(world, world.spec())
    for _ in range(2):
        await world.hypervisor.domains.suspend(spec.uuid)
        assert (await state(world, spec.uuid))[0] is PowerState.SUSPENDED
    await world.hypervisor.domains.start(spec.uuid)
    assert await state(world, spec.uuid) == (PowerState.RUNNING, "restored")


async def test_a_guest_that_was_paused_when_it_was_suspended_runs_when_it_is_started(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.pause(spec.uuid)
    await world.hypervisor.domains.suspend(spec.uuid)
    await world.hypervisor.domains.start(spec.uuid)
    assert (await state(world, spec.uuid))[0] is PowerState.RUNNING


async def test_what_is_stamped_on_a_suspended_guest_holds_when_it_is_restored(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.suspend(spec.uuid)
    await world.hypervisor.domains.stamp(spec.uuid, 5, "request-5")
    await world.hypervisor.domains.start(spec.uuid)
    view = await world.hypervisor.domains.get(spec.uuid)
    assert (view.generation, view.request_id) == (5, "request-5")


async def test_the_plug_of_a_suspended_guest_is_pulled_already(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.suspend(spec.uuid)
    await world.hypervisor.domains.power_off(spec.uuid)
    assert (await state(world, spec.uuid))[0] is PowerState.SUSPENDED


async def test_what_was_saved_goes_with_the_definition(world: World) -> None:
    domains = world.hypervisor.domains
    spec = await running(world, world.spec())
    await domains.suspend(spec.uuid)
    await domains.undefine(spec.uuid)
    assert spec.uuid not in {view.uuid for view in await domains.list()}
    await domains.define(guest_of(world, spec))
    assert (await state(world, spec.uuid))[0] is PowerState.SHUTDOWN


@pytest.mark.parametrize("act", ["reboot", "reset", "pause", "unpause", "suspend", "diagnostics"])
async def test_a_guest_that_is_off_cant_be(world: World, act: str) -> None:
    spec = await made(world, world.spec())
    with pytest.raises(Conflict):
        await getattr(world.hypervisor.domains, act)(spec.uuid)
    assert (await state(world, spec.uuid))[0] is PowerState.SHUTDOWN


async def test_undefining_twice_is_success(world: World) -> None:
    spec = await made(world, world.spec())
    for _ in range(2):
        await world.hypervisor.domains.undefine(spec.uuid)
        assert spec.uuid not in {view.uuid for view in await world.hypervisor.domains.list()}


async def test_a_guest_undefined_while_it_runs_is_gone_when_it_stops(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.undefine(spec.uuid)
    assert (await state(world, spec.uuid))[0] is PowerState.RUNNING
    await world.hypervisor.domains.power_off(spec.uuid)
    assert spec.uuid not in {view.uuid for view in await world.hypervisor.domains.list()}


async def test_defining_again_changes_the_definition_of_a_guest_that_runs_on(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.define(guest_of(world, spec, generation=2))
    view = await world.hypervisor.domains.get(spec.uuid)
    assert view.power_state is PowerState.RUNNING
    await world.hypervisor.domains.power_off(spec.uuid)
    assert (await world.hypervisor.domains.get(spec.uuid)).generation == 2


async def test_a_guest_without_a_system_ignores_the_power_button(world: World) -> None:
    spec = await running(world, world.spec())
    await world.hypervisor.domains.shutdown(spec.uuid)
    assert await world.hypervisor.domains.wait_for(spec.uuid, OFF, world.moment) is None
    assert (await state(world, spec.uuid))[0] is PowerState.RUNNING


async def test_the_power_button_of_a_guest_that_is_off_does_nothing(world: World) -> None:
    spec = await made(world, world.spec())
    await world.hypervisor.domains.shutdown(spec.uuid)
    assert (await state(world, spec.uuid))[0] is PowerState.SHUTDOWN


async def test_waiting_for_a_state_that_is_there_takes_no_time(world: World) -> None:
    spec = await running(world, world.spec())
    assert await world.hypervisor.domains.wait_for(spec.uuid, ON | OFF, 0.0) is PowerState.RUNNING


async def test_waiting_ends_when_the_state_is_reached_by_another_hand(world: World) -> None:
    spec = await running(world, world.spec())
    waiting = asyncio.create_task(world.hypervisor.domains.wait_for(spec.uuid, OFF, world.patience))
    await world.destroy(spec.uuid)
    assert await waiting is PowerState.SHUTDOWN


async def test_waiting_ends_when_the_state_is_reached_by_the_agent(world: World) -> None:
    spec = await made(world, world.spec())
    waiting = asyncio.create_task(world.hypervisor.domains.wait_for(spec.uuid, ON, world.patience))
    await world.hypervisor.domains.start(spec.uuid)
    assert await waiting is PowerState.RUNNING


async def test_waiting_in_vain_gives_none_when_the_time_is_over(world: World) -> None:
    spec = await running(world, world.spec())
    began = asyncio.get_running_loop().time()
    assert await world.hypervisor.domains.wait_for(spec.uuid, OFF, 0.3) is None
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_a_guest_that_isnt_there_reaches_no_state(world: World) -> None:
    absent = world.spec().uuid
    assert await world.hypervisor.domains.wait_for(absent, OFF, 0.1) is None
    assert not await world.hypervisor.domains.wait_for_reboot(absent, 0.1)


async def test_a_reset_is_a_reboot_and_the_guest_runs_on(world: World) -> None:
    spec = await running(world, world.spec())
    waiting = asyncio.create_task(world.hypervisor.domains.wait_for_reboot(spec.uuid, world.patience))
    await asyncio.sleep(0)  # the wait begins before the act
    await world.hypervisor.domains.reset(spec.uuid)
    assert await waiting
    assert await state(world, spec.uuid) == (PowerState.RUNNING, "booted")


async def test_no_reboot_is_seen_where_there_was_none(world: World) -> None:
    spec = await running(world, world.spec())
    assert not await world.hypervisor.domains.wait_for_reboot(spec.uuid, 0.3)


async def test_a_screen_is_there_while_the_guest_runs_and_only_then(world: World) -> None:
    domains = world.hypervisor.domains
    first, second = await running(world, world.spec()), await running(world, world.spec())
    ports = {(await domains.get(spec.uuid)).vnc_port for spec in (first, second)}
    assert len(ports - {None}) == 2
    await domains.power_off(first.uuid)
    await domains.suspend(second.uuid)
    for spec in (first, second):
        assert (await domains.get(spec.uuid)).vnc_port is None
