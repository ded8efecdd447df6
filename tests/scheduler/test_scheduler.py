"""The example scheduler against two real agents."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from agent.rpc.client import ComputeClient
from agent.rpc.schema.instance import Instance
from agent.rpc.schema.params import Destroy, ListInstances, ListOperations, Spawn
from examples.scheduler.claims import Claims
from examples.scheduler.scheduler import Policy, Scheduler
from tests.rig import Broker, rig_directory
from tests.scheduler.trial import Size, Trial

HOSTS = ("h01", "h02")
POLICY = Policy(silent_after=60, not_after=60, answer=20, rest=1, soon=0.1)


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    """Two agents with room for many guests."""
    with rig_directory() as directory, Broker(directory / "broker") as broker:
        ready = Trial(directory, broker, Size(hosts=2, guests=60, at_once=8), print)
        ready.agents = [ready.agent(host) for host in HOSTS]
        try:
            for agent in ready.agents:
                agent.start()
            yield ready
        finally:
            for agent in ready.agents:
                agent.kill()


def guest(**facts: int) -> Instance:
    uuid = uuid4()
    return Instance.model_validate({"uuid": uuid, "name": f"g-{uuid}", "vcpus": 1, "memory_mb": 64, **facts})


@asynccontextmanager
async def scheduling(
    trial: Trial, claims: Path, *guests: Instance, policy: Policy = POLICY
) -> AsyncIterator[tuple[Scheduler, ComputeClient]]:
    async with ComputeClient(trial.broker.url) as compute:
        with Claims(claims) as written:
            scheduler = Scheduler(compute, written, policy)
            running = asyncio.create_task(scheduler.run(guests, known=HOSTS))
            try:
                yield scheduler, compute
                assert not running.done(), running.exception()
            finally:
                running.cancel()
                await asyncio.wait({running})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def until_only_on(place: str, compute: ComputeClient, uuid: UUID) -> None:
    async with asyncio.timeout(60):
        while await hosts_with(compute, uuid) != [place]:
            await asyncio.sleep(0.02)


async def hosts_with(compute: ComputeClient, uuid: UUID) -> list[str]:
    return [
        host
        for host in HOSTS
        if uuid in {found.uuid for found in (await compute.list_instances(host, ListInstances())).instances}
    ]


async def test_a_guest_that_is_found_where_it_is_not_placed_is_destroyed_there(
    trial: Trial, tmp_path: Path
) -> None:
    wanted, others = guest(), guest()
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, compute):
        await scheduler.all_placed()
        (place,) = await hosts_with(compute, wanted.uuid)
        elsewhere = next(host for host in HOSTS if host != place)
        await compute.spawn(elsewhere, Spawn(instance=others))
        await compute.spawn(elsewhere, Spawn(instance=wanted))  # as a host does that comes back with it
        # Its own knowledge says so before, too, until it has heard of the second one.
        await until_only_on(place, compute, wanted.uuid)
        assert scheduler.placed == {wanted.uuid: place}
        assert await hosts_with(compute, others.uuid) == [elsewhere]  # not this scheduler's


async def test_a_guest_that_is_there_already_is_taken_as_placed(trial: Trial, tmp_path: Path) -> None:
    wanted = guest()
    async with ComputeClient(trial.broker.url) as compute:
        await compute.spawn("h02", Spawn(instance=wanted))
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, compute):
        await scheduler.all_placed()
        assert dict(scheduler.placed) == {wanted.uuid: "h02"}
        assert await hosts_with(compute, wanted.uuid) == ["h02"]


async def test_a_guest_that_its_host_has_lost_is_placed_anew_by_the_next_run(trial: Trial, tmp_path: Path) -> None:
    wanted = guest()
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, compute):
        await scheduler.all_placed()
        await compute.destroy(scheduler.placed[wanted.uuid], Destroy(instance_uuid=wanted.uuid))
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, compute):
        await scheduler.all_placed()
        assert len(await hosts_with(compute, wanted.uuid)) == 1


async def test_a_guest_that_an_earlier_run_sent_to_a_host_without_a_queue_waits_for_its_time(
    trial: Trial, tmp_path: Path
) -> None:
    """The queue may have been lost with what was in it, or with a guest that came of it."""
    wanted, not_after = guest(), datetime.now(UTC) + timedelta(seconds=5)
    with Claims(tmp_path / "claims") as earlier:
        earlier.begin(wanted.uuid, "gone", not_after)
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, compute):
        await scheduler.all_placed()
        assert datetime.now(UTC) > not_after + timedelta(seconds=POLICY.skew)
        assert len(await hosts_with(compute, wanted.uuid)) == 1


async def test_what_an_earlier_run_placed_and_nobody_wants_any_more_is_not_counted(
    trial: Trial, tmp_path: Path
) -> None:
    wanted, before = guest(), guest()
    with Claims(tmp_path / "claims") as earlier:
        earlier.end(earlier.begin(before.uuid, "h01", datetime.now(UTC)), "placed")
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, _):
        await scheduler.all_placed()
        assert scheduler.placed.keys() == {wanted.uuid}
    with Claims(tmp_path / "claims") as later:
        assert later.placed.keys() == {wanted.uuid, before.uuid}


async def test_an_unavailable_to_a_repeat_lets_it_go_elsewhere_only_when_a_destroy_has_succeeded(
    trial: Trial, tmp_path: Path
) -> None:
    worlds = [FakeWorld(agent.state_dir) for agent in trial.agents]
    for world in worlds:
        world.faults.add(Fault(call="domains.start", slow=4, error="unavailable", times=1))
    try:
        wanted = guest()
        policy = dataclasses.replace(POLICY, answer=1.5)
        async with scheduling(trial, tmp_path / "claims", wanted, policy=policy) as (scheduler, compute):
            await scheduler.all_placed()
            assert await hosts_with(compute, wanted.uuid) == [scheduler.placed[wanted.uuid]]
            first = (tmp_path / "claims").read_text().partition('"host":"')[2][:3]
            asked = ListOperations(instance_uuid=wanted.uuid, method="destroy", status="succeeded")
            assert (await compute.list_operations(first, asked)).operations
    finally:
        for world in worlds:
            world.faults.clear()


async def test_a_host_without_room_is_left_for_another(trial: Trial, tmp_path: Path) -> None:
    worlds = [FakeWorld(agent.state_dir) for agent in trial.agents]
    for world in worlds:
        world.faults.add(Fault(call="domains.start", error="no_capacity", message="full after all", times=1))
    try:
        wanted = guest()
        async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, compute):
            await scheduler.all_placed()
            assert await hosts_with(compute, wanted.uuid) == [scheduler.placed[wanted.uuid]]
        attempts = [line for line in (tmp_path / "claims").read_text().splitlines() if '"host"' in line]
        assert len(attempts) == 3  # each has refused once
    finally:
        for world in worlds:
            world.faults.clear()


async def test_what_fits_nowhere_waits_and_says_why(trial: Trial, tmp_path: Path) -> None:
    wanted = guest(vcpus=512)
    async with scheduling(trial, tmp_path / "claims", wanted) as (scheduler, _):
        await until(lambda: scheduler.waiting.get(wanted.uuid) == {"vcpus": 2})
        assert dict(scheduler.placed) == {}


async def test_what_no_host_would_do_has_failed_and_says_why(trial: Trial, tmp_path: Path) -> None:
    wanted = guest()
    async with ComputeClient(trial.broker.url) as compute:
        await compute.spawn("h01", Spawn(instance=wanted))
    other = wanted.model_copy(update={"memory_mb": 128})
    async with scheduling(trial, tmp_path / "claims", other) as (scheduler, compute):
        await scheduler.all_placed()
        assert "conflict" in scheduler.failed[wanted.uuid]
        assert await hosts_with(compute, wanted.uuid) == ["h01"]
