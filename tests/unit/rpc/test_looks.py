"""Reads of a hypervisor that hangs, or is away: answered at once, from what was seen, and marked as that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from agent.errors import NotFound, Unavailable
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.driver import fake_driver
from agent.hypervisor.fake.faults import Fault
from agent.hypervisor.ports import Guest, Hypervisor
from agent.rpc.looks import OVERDUE_S, PATIENCE_S, Looks, Question
from agent.spec import InstanceSpec, PowerState

DEADLINE_S = 30.0
"""Of each call to the hypervisor: whoever waits for it is too late for these tests."""
SOON_S = 7.0
RUNNING, SHUTDOWN = PowerState.RUNNING, PowerState.SHUTDOWN


@dataclass
class Ground:
    hypervisor: Hypervisor
    hands: FakeWorld
    looks: Looks
    reachable: bool = True

    async def make(self) -> UUID:
        uuid = uuid4()
        spec = InstanceSpec(uuid=uuid, name=f"vm-{uuid}", vcpus=1, memory_mb=64)
        await self.hypervisor.disks.make_directory(uuid)
        await self.hypervisor.domains.define(Guest(spec=spec, disks=(), generation=1))
        return uuid

    def hang(self, call: str, instance: UUID | None = None) -> None:
        self.hands.faults.add(Fault(call=call, instance=instance, hang=True))

    def go_on(self, call: str) -> None:
        self.hands.faults.clear(call)


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    hypervisor = fake_driver(tmp_path, hostname="h1", call_timeout=DEADLINE_S)
    made = Ground(hypervisor, FakeWorld(tmp_path), Looks(hypervisor.domains, lambda: made.reachable))
    yield made
    made.hands.faults.clear()


async def test_a_look_that_comes_at_once_is_fresh(ground: Ground) -> None:
    uuid = await ground.make()
    asked_at = datetime.now(UTC)
    ground.reachable = False  # nothing was heard yet, and what is seen now is certain all the same
    for seen in (await ground.looks.at_one(uuid), *await ground.looks.at_all()):
        assert (seen.view.uuid, seen.view.power_state, seen.certain) == (uuid, SHUTDOWN, True)
        assert asked_at <= seen.at <= datetime.now(UTC)


async def test_while_the_hypervisor_hangs_reads_answer_what_was_seen_and_when(ground: Ground) -> None:
    uuid = await ground.make()
    await ground.looks.at_all()
    hung_at = datetime.now(UTC)
    ground.hang("domains.*")
    began = time.monotonic()
    for seen in (await ground.looks.at_one(uuid), *await ground.looks.at_all()):
        assert seen.view.power_state is SHUTDOWN
        assert seen.at < hung_at
    assert time.monotonic() - began < SOON_S
    began = time.monotonic()
    for _ in range(100):
        await ground.looks.at_all()
    assert time.monotonic() - began < SOON_S < 100 * PATIENCE_S


async def test_an_answer_that_is_owed_for_long_makes_the_state_uncertain_and_one_that_comes_certain_again(
    ground: Ground,
) -> None:
    uuid = await ground.make()
    await ground.looks.at_all()
    ground.hang("domains.*")
    asked_at = time.monotonic()
    certain = (await ground.looks.at_one(uuid)).certain
    assert certain or time.monotonic() - asked_at > OVERDUE_S
    await asyncio.sleep(OVERDUE_S)  # a time without an answer is what this is about
    assert not (await ground.looks.at_one(uuid)).certain
    await ground.looks.at_all()
    await asyncio.sleep(OVERDUE_S)
    assert [seen.certain for seen in await ground.looks.at_all()] == [False]
    ground.go_on("domains.*")
    async with asyncio.timeout(DEADLINE_S):
        while not all(
            [(await ground.looks.at_one(uuid)).certain, *(s.certain for s in await ground.looks.at_all())]
        ):
            await asyncio.sleep(0.01)


async def test_a_hypervisor_that_is_away_leaves_nothing_certain(ground: Ground) -> None:
    uuid = await ground.make()
    await ground.looks.at_all()
    ground.hands.outage(True)
    assert not (await ground.looks.at_one(uuid)).certain
    assert [seen.certain for seen in await ground.looks.at_all()] == [False]


async def test_without_events_what_was_seen_isnt_certain(ground: Ground) -> None:
    await ground.make()
    await ground.looks.at_all()
    ground.hang("domains.*")
    ground.reachable = False
    assert [seen.certain for seen in await ground.looks.at_all()] == [False]


async def test_many_readers_put_a_question_once(ground: Ground) -> None:
    uuid = await ground.make()
    await ground.looks.at_all()
    fault = Fault(call="domains.get", slow=PATIENCE_S * 2)
    ground.hands.faults.add(fault)
    seen = await asyncio.gather(*(ground.looks.at_one(uuid) for _ in range(50)))
    assert {each.view.uuid for each in seen} == {uuid}
    assert [each.taken for each in ground.hands.faults.all()] == [1]


async def test_one_guest_that_hangs_makes_no_other_uncertain(ground: Ground) -> None:
    sick, well = await ground.make(), await ground.make()
    await ground.looks.at_all()
    ground.hang("domains.list")
    ground.hang("domains.get", sick)
    await ground.looks.at_all()
    await asyncio.sleep(OVERDUE_S)
    async with asyncio.timeout(DEADLINE_S):
        while {s.view.uuid: s.certain for s in await ground.looks.at_all()} != {sick: False, well: True}:
            await asyncio.sleep(0.01)


async def test_what_the_agent_has_answered_before_isnt_older_in_a_read_that_finds_the_hypervisor_hung(
    ground: Ground,
) -> None:
    uuid = await ground.make()
    await ground.looks.at_all()
    await ground.hypervisor.domains.start(uuid)
    await ground.hypervisor.domains.get(uuid)  # as an operation does before it answers
    ground.hang("domains.*")
    assert (await ground.looks.at_one(uuid)).view.power_state is RUNNING
    assert [seen.view.power_state for seen in await ground.looks.at_all()] == [RUNNING]


async def test_what_is_gone_is_not_found(ground: Ground) -> None:
    uuid = await ground.make()
    await ground.looks.at_one(uuid)
    await ground.hypervisor.domains.undefine(uuid)
    with pytest.raises(NotFound):
        await ground.looks.at_one(uuid)
    assert await ground.looks.at_all() == ()


async def test_what_was_never_seen_is_waited_for(ground: Ground) -> None:
    uuid = await ground.make()
    ground.hands.faults.add(Fault(call="domains.*", slow=2 * PATIENCE_S))
    assert (await ground.looks.at_one(uuid)).view.uuid == uuid
    assert [seen.view.uuid for seen in await ground.looks.at_all()] == [uuid]


async def test_what_was_never_seen_of_a_hypervisor_that_is_away_is_unavailable(ground: Ground) -> None:
    uuid = await ground.make()
    ground.hands.outage(True)
    with pytest.raises(Unavailable):
        await ground.looks.at_one(uuid)
    with pytest.raises(Unavailable):
        await ground.looks.at_all()


async def test_the_best_answer_is_a_fresh_one_else_the_last(ground: Ground) -> None:
    host = Question(ground.hypervisor.host.describe)
    assert (await host.best()).instances == 0
    await ground.make()
    ground.hang("host.describe")
    assert (await host.best()).instances == 0
    ground.go_on("host.describe")
    async with asyncio.timeout(DEADLINE_S):
        while (await host.best()).instances != 1:
            await asyncio.sleep(0.01)
