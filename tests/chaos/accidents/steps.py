"""Deaths at a named place of an operation that is really in the round's load.

With make-believe guests the fake itself kills the agent, in the very call. With libvirt's there is no such hook,
and none is wanted: the journal is watched from outside, and who shall die dies when the step's mark is in it, or
some milliseconds later. Where it was in truth is read from the journal afterwards.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agent.errors import NoCapacity
from agent.hypervisor.fake.faults import Fault
from tests.chaos.accidents.fake import take_orders_back, world
from tests.chaos.accidents.libvirt import guests, kill, libvirtd
from tests.chaos.coverage import Place
from tests.chaos.ground import Side
from tests.chaos.load import Aim
from tests.chaos.places import ABOUT_NO_INSTANCE, FAILS

WITHIN_S = 6.0
LOOK_S = 0.002
LOOK_AGAIN_S = 0.2
LATER_S = 0.05
NEAR_S = 5.0

MARKS = """
SELECT steps.name, steps.mark FROM steps JOIN operations ON operations.number = steps.operation
WHERE operations.instance_uuid = ? AND operations.method = ? ORDER BY operations.number, steps.position
"""


async def kill_agent_at_a_call(side: Side, rng: random.Random) -> None:
    """All aims at once; it dies at each of them that somebody comes by."""
    orders = {aim: Fault.model_validate(_order(aim)) for aim in side.aims}
    try:
        for aim, order in orders.items():
            if aim.place.undone:
                await asyncio.to_thread(world(side).faults.add, Fault.model_validate(_failure(aim)))
            await asyncio.to_thread(world(side).faults.add, order)
    except NoCapacity:  # the disk is full just now, and the order is a file on it
        side.teller.tell("  no room for the orders to die")
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end and not all(map(side.is_over, orders)):
        if await side.agent.dies(LOOK_AGAIN_S):
            for aim in await asyncio.to_thread(_count_deaths, side, orders):
                await _until_expired(side, aim)
            await side.agent.up()
    await take_orders_back(side)
    if await side.agent.dies(0.1):
        await side.agent.up()
    for aim in orders:
        side.teller.tell(f"  nobody came by {aim.place} on {aim.instance}")


def _order(aim: Aim) -> dict[str, object]:
    place = aim.place
    whose = None if place.where in ABOUT_NO_INSTANCE else aim.instance
    return {**_of(aim), "instance": whose, "call": place.where, "when": place.when, "die": True}


def _failure(aim: Aim) -> dict[str, object]:
    return {**_of(aim), "call": FAILS[aim.place.method], "when": "after", "error": "operation_failed"}


def _of(aim: Aim) -> dict[str, object]:
    return {"instance": aim.instance, "method": aim.place.method, "times": 1}


def _count_deaths(side: Side, orders: dict[Aim, Fault]) -> list[Aim]:
    """Those that have come; they are no more in `orders`."""
    taken = [fault for fault in world(side).faults.all() if fault.taken]
    died = [aim for aim, order in orders.items() if any(fault.same_line(order) for fault in taken)]
    for aim in died:
        del orders[aim]
        side.deck.hit(aim.place)
        side.teller.count("deaths at a named place")
        side.teller.tell(f"  it died at {aim.place} on {aim.instance}")
    return died


async def _until_expired(side: Side, aim: Aim) -> None:
    """Whoever died in what expires soon stays dead that long: then it may not be gone on with."""
    limits = [request.not_after or 0.0 for request in side.coming if request.instance == aim.instance]
    left = max(limits) - time.time()
    if 0 < left < NEAR_S:
        side.teller.count("dead until it had expired")
        await asyncio.sleep(left)


async def kill_agent_at_a_step(side: Side, rng: random.Random) -> None:
    if await _struck(side, side.aims[0], rng, lambda: kill(side.agent.pid)):
        await _until_expired(side, side.aims[0])
        await side.agent.killed()


async def kill_libvirtd_at_a_step(side: Side, rng: random.Random) -> None:
    if await _struck(side, side.aims[1], rng, libvirtd(side).kill):
        await asyncio.sleep(rng.random())
        await asyncio.to_thread(libvirtd(side).start)


async def kill_qemu_at_a_step(side: Side, rng: random.Random) -> None:
    aim = side.aims[1]

    def strike() -> None:
        if (pid := guests(side).get(aim.instance)) is None:
            side.teller.tell("  it has no process just now")
            return
        side.disturbed.add(aim.instance)
        kill(pid)

    await _struck(side, aim, rng, strike)


async def _struck(side: Side, aim: Aim, rng: random.Random, strike: Callable[[], None]) -> bool:
    """Whether it came to that."""
    later = rng.choice((0.0, 0.0, rng.random() * LATER_S))

    def strikes() -> None:
        time.sleep(later)
        strike()

    # In a thread, to be quick.
    place = await asyncio.to_thread(struck_at, side.journal, aim, strikes, lambda: side.is_over(aim))
    if place is None:
        side.teller.tell(f"  nobody came by {aim.place} on {aim.instance}")
        return False
    side.deck.hit(place)
    side.teller.count("deaths at a named place")
    side.teller.tell(f"  at {place} on {aim.instance}; {aim.place} was aimed at")
    return True


def struck_at(journal: Path, aim: Aim, strike: Callable[[], None], is_over: Callable[[], bool]) -> Place | None:
    """Strikes when the step's mark, or its next one, is in the journal. Where the operation was then; None when it
    didn't come there."""
    end = time.monotonic() + WITHIN_S
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=5)) as db:
        while time.monotonic() < end and not is_over():
            if _marks(db, aim).get(aim.place.where) in ("done", aim.place.when):
                strike()
                marks = _marks(db, aim)
                step = list(marks)[-1]
                return Place(aim.place.method, step, marks[step])
            time.sleep(LOOK_S)
    return None


def _marks(db: sqlite3.Connection, aim: Aim) -> dict[str, str]:
    return dict(db.execute(MARKS, (aim.instance, aim.place.method)))
