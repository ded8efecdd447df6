"""The first promise, end to end: whatever was sent is done once, though the agent is killed in the middle of it.

A real broker, the daemon as a process, SIGKILL. What was done is counted where it was done: each start of a
make-believe guest is a line of its world, each operation a row of the journal, each end an event.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from uuid import UUID

import pytest

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from agent.hypervisor.fake.log import Follower
from agent.spec import PowerState
from tests.chaos.journal import Written, read
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient
from tests.e2e.story import small, uuid_of
from tests.rig import Rig

CASTS = 300
PATIENCE_S = 120


def journal(agent: Daemon) -> Written:
    return read(agent.state_dir / "journal.db")


def ended(agent: Daemon) -> int:
    return sum(row.status == "succeeded" for row in journal(agent).rows)


async def cast_all(client: PlainClient, asked: Iterable[dict[str, object]]) -> list[str]:
    """The message_ids, when the broker has all of them."""
    return await asyncio.gather(*(client.cast("spawn", args) for args in asked))


async def until_ended(agent: Daemon, number: int) -> None:
    """Asks the file: the agent may be dead in the next moment."""
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(ended, agent) < number:
            await asyncio.sleep(0.01)


async def until_told(client: PlainClient, number: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(distinct(client, "compute.instance.spawn.end")) < number:
            await asyncio.sleep(0.05)


def distinct(client: PlainClient, type_: str) -> Counter[str]:
    """How often each instance was told of, not counting what was sent again: it has the same sequence."""
    events = {event["sequence"]: event for event in client.events if event["type"] == type_}
    return Counter(event["subject"] for event in events.values())


def room_for_all(agent: Daemon) -> None:
    FakeWorld(agent.state_dir).configure(vcpus=10 * CASTS, memory_mb=1000 * CASTS)


@pytest.fixture
def world(fake_agent: Daemon) -> Iterator[Follower]:
    with closing(Follower(fake_agent.state_dir / "world" / "log")) as follower:
        yield follower


def starts(world: Follower) -> Counter[UUID]:
    """How often each guest was started since the test began."""
    return Counter(line.uuid for line in world.more() if line.uuid and line.state is PowerState.RUNNING)


async def test_of_300_casts_none_is_lost_and_none_done_twice_when_the_agent_is_killed_in_the_middle(
    fake_agent: Daemon, client: PlainClient, world: Follower, rig: Rig
) -> None:
    room_for_all(fake_agent)
    asked = [small() for _ in range(CASTS)]
    once = Counter(uuid_of(args) for args in asked)
    # However late it is killed, it isn't through with all of them.
    faults = FakeWorld(fake_agent.state_dir).faults
    faults.add(Fault(call="domains.start", instance=UUID(uuid_of(asked[-1])), hang=True))
    message_ids = await cast_all(client, asked)
    await until_ended(fake_agent, CASTS // 10)

    await asyncio.to_thread(fake_agent.kill)
    midway = journal(fake_agent)
    assert CASTS // 10 <= sum(row.status == "succeeded" for row in midway.rows) < CASTS
    faults.clear()
    await asyncio.to_thread(fake_agent.start)

    await until_told(client, CASTS)
    written = journal(fake_agent)
    assert sorted(row.message_id for row in written.rows) == sorted(message_ids)
    assert {row.status for row in written.rows} == {"succeeded"}
    assert Counter(row.instance for row in written.rows) == once
    assert distinct(client, "compute.instance.spawn.end") == once
    assert distinct(client, "compute.instance.spawn.start") == once
    assert distinct(client, "compute.instance.spawn.error") == Counter()
    domains = FakeWorld(fake_agent.state_dir).domains()
    assert Counter(str(uuid) for uuid in domains) == once
    assert {domain.state for domain in domains.values()} == {PowerState.RUNNING}
    assert {str(uuid): times for uuid, times in starts(world).items()} == once
    await until_none_is_left(rig, fake_agent.host)


async def until_none_is_left(rig: Rig, host: str) -> None:
    """Not at once: the broker counts what is in a quorum queue every few seconds."""
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(left_in, rig, host):
            await asyncio.sleep(0.5)


def left_in(rig: Rig, host: str) -> int:
    """Commands that wait in the broker or aren't acknowledged."""
    lines = rig.broker.rabbitmqctl("list_queues", "name", "messages").splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == f"compute.{host}")


async def test_casts_that_are_sent_again_after_a_kill_are_known(
    fake_agent: Daemon, client: PlainClient, world: Follower, rig: Rig
) -> None:
    """A sender that isn't sure of the broker's confirmation sends again, under the same identity."""
    room_for_all(fake_agent)
    asked = [small() | {"idempotency_key": f"key-{n}"} for n in range(CASTS // 3)]
    await cast_all(client, asked)
    await until_ended(fake_agent, len(asked) // 4)
    await asyncio.to_thread(fake_agent.kill)
    await cast_all(client, asked)
    await asyncio.to_thread(fake_agent.start)
    await until_told(client, len(asked))
    await cast_all(client, asked)
    async with asyncio.timeout(PATIENCE_S):
        while await asyncio.to_thread(left_in, rig, fake_agent.host):
            await asyncio.sleep(0.1)

    assert len(journal(fake_agent).rows) == len(asked)
    assert set(distinct(client, "compute.instance.spawn.end").values()) == {1}
    assert set(starts(world).values()) == {1}
