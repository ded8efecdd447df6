"""A caller that wants signs of life gets them as long as its call is under way, whatever happens to the agent."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from tests.e2e.daemon import Daemon
from tests.e2e.story import small, until, uuid_of
from tests.oslo.library import Oslo

H1: dict[str, Any] = {"server": "h1"}


async def spawned(oslo: Oslo) -> dict[str, str]:
    """A guest."""
    args = small()
    await oslo.call("spawn", args, **H1)
    return {"instance_uuid": uuid_of(args)}


async def is_under_way(oslo: Oslo, named: dict[str, str]) -> bool:
    listed = await oslo.call("list_operations", {**named, "status": "running"}, **H1)
    return bool(listed["operations"])


async def test_a_call_may_take_longer_than_its_callers_patience(oslo: Oslo, agent: Daemon) -> None:
    """Without signs of life the library gives up after the first ten seconds."""
    named = await spawned(oslo)
    FakeWorld(agent.state_dir).faults.add(Fault(call="domains.pause", slow=12.0, times=1))
    paused = await oslo.call("pause", named, **H1, call_monitor_timeout=10, timeout=120)
    assert paused["power_state"] == "paused"


async def test_it_hears_of_its_call_and_gets_its_answer_after_the_agent_was_killed(
    oslo: Oslo, agent: Daemon
) -> None:
    named = await spawned(oslo)
    FakeWorld(agent.state_dir).faults.add(Fault(call="domains.pause", slow=40.0, times=2))
    pausing = asyncio.create_task(oslo.call("pause", named, **H1, call_monitor_timeout=20, timeout=200))
    await until(lambda: is_under_way(oslo, named), 60, "the pause")
    await asyncio.to_thread(agent.kill)
    await asyncio.to_thread(agent.start)
    assert (await pausing)["power_state"] == "paused"


async def test_a_dead_agents_callers_are_told_by_the_silence(oslo: Oslo, agent: Daemon) -> None:
    named, faults = await spawned(oslo), FakeWorld(agent.state_dir).faults
    faults.add(Fault(call="domains.pause", hang=True, times=1))
    pausing = asyncio.create_task(oslo.fail("pause", named, **H1, call_monitor_timeout=3, timeout=200))
    await until(lambda: is_under_way(oslo, named), 60, "the pause")
    await asyncio.to_thread(agent.kill)
    faults.clear()
    assert (await pausing).kind == "MessagingTimeout"
    await asyncio.to_thread(agent.start)
