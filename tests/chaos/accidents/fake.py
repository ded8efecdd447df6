"""What happens to the make-believe hypervisor and its guests.

Its world is asked in threads: an agent that is frozen just now may hold the world's lock, and who thaws it is on
this loop.
"""

from __future__ import annotations

import asyncio
import random

from agent.errors import NoCapacity
from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from tests.chaos.ground import Side
from tests.chaos.hosts import FakeHost
from tests.chaos.places import fake_places


async def failing_call(side: Side, rng: random.Random) -> None:
    error = rng.choice(("no_capacity", "unavailable", "operation_failed"))
    place = rng.choice([place for place in fake_places() if not place.undone])
    fault = Fault.model_validate(
        {"call": place.where, "when": place.when, "method": place.method, "error": error, "times": 1}
    )
    try:
        await asyncio.to_thread(world(side).faults.add, fault)
    except NoCapacity:  # the disk is full just now, and the order is a file on it
        side.teller.tell(f"  no room for the order to fail at {place}")
        return
    await asyncio.sleep(rng.uniform(0.5, 2))
    side.teller.tell(f"  {place} failed with {error}, if anybody came by")


async def hypervisor_away(side: Side, rng: random.Random) -> None:
    await asyncio.to_thread(world(side).outage, True)
    try:
        await asyncio.sleep(rng.uniform(0.3, 2))
    finally:
        await asyncio.to_thread(world(side).outage, False)


async def kill_guest(side: Side, rng: random.Random) -> None:
    there = await asyncio.to_thread(world(side).domains)
    on = [d.uuid for d in there.values() if d.spec is not None and d.active]
    if not on:
        return
    uuid = rng.choice(sorted(on))
    side.disturbed.add(str(uuid))
    try:
        await asyncio.to_thread(world(side).kill, uuid)
    except (KeyError, ValueError):
        return
    side.teller.tell(f"  guest {uuid} killed")


async def take_orders_back(side: Side) -> None:
    """Those nobody came by. It takes a file to do that, so on a full disk it waits for room."""
    while True:
        try:
            return await asyncio.to_thread(world(side).faults.clear)
        except NoCapacity:
            await asyncio.sleep(0.2)


def world(side: Side) -> FakeWorld:
    assert isinstance(side.host, FakeHost)
    return side.host.world
