"""What the hypervisor says by itself: every power change, whoever made it, and never a guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.errors import Unavailable
from agent.hypervisor.ports import Kind, Observation
from agent.spec import InstanceSpec, PowerState
from tests.contract.world import World, eventually, made, running

pytestmark = pytest.mark.timeout(180)


async def seen(world: World, spec: InstanceSpec, state: PowerState, reason: str, since: int) -> Observation:
    def wanted(one: Observation) -> bool:
        return (one.kind, one.uuid, one.state, one.reason) == (Kind.POWER, spec.uuid, state, reason)

    return await world.observed.until(wanted, since=since, patience=world.patience)


async def ended(world: World) -> InstanceSpec:
    """A guest that ran and was stopped, both observed."""
    spec, mark = await running(world, world.spec()), world.observed.mark()
    await world.hypervisor.domains.power_off(spec.uuid)
    await seen(world, spec, PowerState.SHUTDOWN, "destroyed", mark)
    return spec


async def test_the_first_observation_lists_all_guests_as_they_are(world: World) -> None:
    off, on = await made(world, world.spec()), await running(world, world.spec())
    await world.restart_driver()
    first = world.observed.all[0]
    assert first.kind is Kind.LISTING
    states = {view.uuid: view.power_state for view in first.domains}
    assert (states[off.uuid], states[on.uuid]) == (PowerState.SHUTDOWN, PowerState.RUNNING)


async def test_the_agents_own_acts_are_observed_once_each_and_in_order(world: World) -> None:
    domains, mark = world.hypervisor.domains, world.observed.mark()
    spec = await running(world, world.spec())
    await domains.pause(spec.uuid)
    await domains.unpause(spec.uuid)
    await domains.suspend(spec.uuid)
    await domains.start(spec.uuid)
    await domains.power_off(spec.uuid)
    await seen(world, spec, PowerState.SHUTDOWN, "destroyed", mark)
    assert world.observed.power(spec.uuid, mark) == [
        (PowerState.RUNNING, "booted"),
        (PowerState.PAUSED, "user"),
        (PowerState.RUNNING, "unpaused"),
        (PowerState.SUSPENDED, "saved"),
        (PowerState.RUNNING, "restored"),
        (PowerState.SHUTDOWN, "destroyed"),
    ]


async def test_an_observation_says_when_it_was(world: World) -> None:
    mark = world.observed.mark()
    spec = await running(world, world.spec())
    one = await seen(world, spec, PowerState.RUNNING, "booted", mark)
    assert abs(datetime.now(UTC) - one.at) < timedelta(seconds=world.patience)


async def test_a_guest_whose_process_died_is_seen_to_have_crashed(world: World) -> None:
    spec, mark = await running(world, world.spec()), world.observed.mark()
    await world.kill(spec.uuid)
    await seen(world, spec, PowerState.CRASHED, "crashed", mark)
    view = await world.hypervisor.domains.get(spec.uuid)
    assert (view.power_state, view.reason) == (PowerState.CRASHED, "crashed")
    await world.hypervisor.domains.start(spec.uuid)
    await seen(world, spec, PowerState.RUNNING, "booted", mark)


async def test_a_guest_destroyed_by_somebody_else_is_seen_to_be_off(world: World) -> None:
    spec, mark = await running(world, world.spec()), world.observed.mark()
    await world.destroy(spec.uuid)
    await seen(world, spec, PowerState.SHUTDOWN, "destroyed", mark)
    assert len(world.observed.power(spec.uuid, mark)) == 1


async def test_a_guest_paused_and_continued_by_somebody_else_is_seen(world: World) -> None:
    spec, mark = await running(world, world.spec()), world.observed.mark()
    await world.suspend(spec.uuid)
    await seen(world, spec, PowerState.PAUSED, "user", mark)
    await world.resume(spec.uuid)
    await seen(world, spec, PowerState.RUNNING, "unpaused", mark)


async def test_a_guest_undefined_by_somebody_else_is_gone(world: World) -> None:
    spec, mark = await ended(world), world.observed.mark()
    await world.undefine(spec.uuid)
    gone = await world.observed.until(lambda o: o.uuid == spec.uuid, since=mark, patience=world.patience)
    assert gone.kind is Kind.GONE


async def test_a_guest_that_the_agent_undefined_is_gone(world: World) -> None:
    spec, mark = await ended(world), world.observed.mark()
    await world.hypervisor.domains.undefine(spec.uuid)
    await world.observed.until(
        lambda o: (o.kind, o.uuid) == (Kind.GONE, spec.uuid), since=mark, patience=world.patience
    )


async def test_a_reset_isnt_observed_as_a_power_change(world: World) -> None:
    spec, mark = await running(world, world.spec()), world.observed.mark()
    await seen(world, spec, PowerState.RUNNING, "booted", 0)
    mark = world.observed.mark()
    await world.hypervisor.domains.reset(spec.uuid)
    await world.hypervisor.domains.pause(spec.uuid)
    await seen(world, spec, PowerState.PAUSED, "user", mark)
    assert world.observed.power(spec.uuid, mark) == [(PowerState.PAUSED, "user")]


async def test_a_dead_daemon_is_lost_and_a_listing_follows_with_what_was_missed(world: World) -> None:
    lives, dies = await running(world, world.spec()), await running(world, world.spec())
    mark = world.observed.mark()
    async with world.daemon_down():
        await world.observed.until(lambda o: o.kind is Kind.LOST, since=mark, patience=world.patience)
        with pytest.raises(Unavailable):
            await world.hypervisor.domains.list()
        await world.kill(dies.uuid)
    listing = await world.observed.until(lambda o: o.kind is Kind.LISTING, since=mark, patience=world.patience)
    states = {view.uuid: view.power_state for view in listing.domains}
    assert states[lives.uuid] is PowerState.RUNNING

    async def is_off() -> bool:
        """By the listing, or next: a daemon that has just begun may not have looked for its guests yet."""
        state, _ = world.observed.last(dies.uuid) or (PowerState.UNKNOWN, "")
        return state in {PowerState.CRASHED, PowerState.SHUTDOWN}

    await eventually(world, is_off)
    mark = world.observed.mark()
    await world.destroy(lives.uuid)
    await seen(world, lives, PowerState.SHUTDOWN, "destroyed", mark)
