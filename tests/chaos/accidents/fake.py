"""What happens to the make-believe hypervisor and its guests."""

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
        world(side).faults.add(fault)
    except NoCapacity:  # the disk is full just now, and the order is a file on it
        side.teller.tell(f"  no room for the order to fail at {place}")
        return
    await asyncio.sleep(rng.uniform(0.5, 2))
    side.teller.tell(f"  {place} failed with {error}, if anybody came by")


async def hypervisor_away(side: Side, rng: random.Random) -> None:
    world(side).outage(True)
    try:
        await asyncio.sleep(rng.uniform(0.3, 2))
    finally:
        world(side).outage(False)


async def kill_guest(side: Side, rng: random.Random) -> None:
    on = [d.uuid for d in world(side).domains().values() if d.spec is not None and d.active]
    if not on:
        return
    uuid = rng.choice(sorted(on))
    side.disturbed.add(str(uuid))
    try:
        world(side).kill(uuid)
    except (KeyError, ValueError):
        return
    side.teller.tell(f"  guest {uuid} killed")


async def take_orders_back(side: Side) -> None:
    """Those nobody came by. It takes a file to do that, so on a full disk it waits for room."""
    while True:
        try:
            return world(side).faults.clear()
        except NoCapacity:
            await asyncio.sleep(0.2)


def world(side: Side) -> FakeWorld:
    assert isinstance(side.host, FakeHost)
    return side.host.world
