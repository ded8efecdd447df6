"""One round: load and accidents, then peace, then a look at everything, then all is cleared away and looked at
again. What doesn't hold is returned, in words."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import libvirt

from tests.chaos import accidents, expected, invariants, journal
from tests.chaos.accidents import Act, BrokerAct, name
from tests.chaos.ground import Ground, Side
from tests.chaos.hosts import LibvirtHost, Picture
from tests.chaos.journal import Written
from tests.chaos.load import Aim, Asked, new_uuid

SETTLE_S = 120.0
PEACE_S = 15.0
LOAD_S = 3.0
CALM_S = 2.0
HANGS_S = 60.0
AIMS = 2
SHARE = {"fake": 1.0, "libvirt": 0.5}
"""Of the requests that a round has for a side: real guests cost more than make-believe ones."""

T = TypeVar("T")


@dataclass
class Plan:
    """What a side has to go through in a round. `before` is how it looked."""

    side: Side
    before: Picture
    asked: list[Asked]
    process: Sequence[Act]
    around: Sequence[Act]
    seed: float

    def rng(self, what: str) -> random.Random:
        return random.Random(f"{self.seed}/{what}")


async def one(ground: Ground, rng: random.Random, requests: int) -> list[str]:
    """Violations; none is what one hopes for."""
    acts = _chosen(ground, accidents.BROKER, rng.choice((0, 0, 0, 0, 1)), rng)
    plans = [await _plan(ground, side, rng.random(), requests) for side in ground.sides]
    if accidents.broker.kill_broker in acts:
        # A quorum queue that is less than a second old when RabbitMQ is killed may never get a leader again
        # (seen with 3.10.8): then nobody can consume it until it is deleted by hand.
        for plan in plans:
            plan.around = [act for act in plan.around if act is not accidents.link.delete_queue]
    loads = [asyncio.create_task(plan.side.load.run(plan.asked, LOAD_S, plan.rng("load"))) for plan in plans]
    try:
        async with asyncio.TaskGroup() as group:
            for plan in plans:
                group.create_task(_lane(plan.side, plan.process, 0.0, plan.rng("process")))
                group.create_task(_lane(plan.side, plan.around, CALM_S, plan.rng("around")))
            group.create_task(_broker_lane(ground, acts, rng))
        found = await asyncio.gather(*map(_ended, plans, loads))
    finally:
        for load in loads:
            load.cancel()
    return [f"{plan.side.driver}: {line}" for plan, lines in zip(plans, found, strict=True) for line in lines]


async def _plan(ground: Ground, side: Side, seed: float, requests: int) -> Plan:
    rng = random.Random(seed)
    side.aims = [Aim(place, new_uuid(rng)) for place in side.deck.deal(AIMS, rng)]
    asked = side.load.make(int(requests * SHARE[side.driver]), side.aims, rng)
    side.coming = asked
    side.before = max((row.number for row in _written(side).rows), default=side.before)
    side.asked |= {request.message_id: request for request in asked}
    side.teller.count("requests", len(asked))
    side.clock.forget()
    process = [
        *_chosen(ground, [accidents.AT_A_STEP[side.driver]], 1, rng),
        *_chosen(ground, accidents.PROCESS, rng.choice((0, 1)), rng),
    ]
    around = _chosen(ground, accidents.BY_DRIVER[side.driver], rng.choice((1, 1, 2)), rng)
    return Plan(side, await _steady(side.host.picture), asked, process, around, seed)


A = TypeVar("A", Act, BrokerAct)


def _chosen(ground: Ground, acts: Sequence[A], count: int, rng: random.Random) -> list[A]:
    wanted = [act for act in acts if ground.only in name(act)]
    return rng.choices(wanted, k=max(count, bool(ground.only))) if wanted else []


async def _lane(side: Side, acts: Sequence[Act], calm: float, rng: random.Random) -> None:
    """One after another; `calm`: seconds before, at most."""
    for act in acts:
        await asyncio.sleep(rng.random() * calm)
        side.teller.happens(name(act))
        await act(side, rng)


async def _broker_lane(ground: Ground, acts: Sequence[BrokerAct], rng: random.Random) -> None:
    for act in acts:
        await asyncio.sleep(rng.random() * LOAD_S)
        ground.teller.happens(name(act))
        await act(ground, rng)


async def _ended(plan: Plan, load: asyncio.Task[None]) -> list[str]:
    """Peace, and all that has to hold."""
    side, asked = plan.side, plan.asked
    if side.driver == "fake":
        await accidents.fake.take_orders_back(side)
    healed = time.monotonic()
    found = await _answered(side, load, asked)
    side.teller.healed(time.monotonic() - healed)
    found += await _look(side, asked)
    found += await _cleared(side, {request.instance for request in asked})
    after = await _steady(side.host.picture)
    if plan.before.others != after.others:
        found.append(f"a bystander was touched: {plan.before.others} is now {after.others}")
    found += [f"agent: {surprise}" for surprise in side.agent.surprises]
    lines = side.agent.lines()
    found += invariants.log(lines)
    found += invariants.resumed(lines, asked, _written(side))
    side.teller.count("duplicates answered", sum(max(0, len(request.answers) - 1) for request in asked))
    side.teller.count("sent again", sum(max(0, request.sent - 1) for request in asked))
    side.teller.count("sent once, and trusted", sum(request.trusting for request in asked))
    return found


async def _answered(side: Side, load: asyncio.Task[None], asked: list[Asked]) -> list[str]:
    end = time.monotonic() + SETTLE_S
    await side.agent.check()
    while time.monotonic() < end and not load.done():
        await asyncio.wait({load}, timeout=0.5)
        await side.agent.check()
    if load.done():
        load.result()
        return []
    load.cancel()
    await asyncio.wait({load})
    waiting = [request.message_id for request in asked if not request.answered.is_set()]
    return [f"not answered {SETTLE_S:.0f} s after all was mended: {waiting}"]


async def _ask(side: Side, method: str, args: dict[str, object], instance: str) -> Asked:
    request = Asked(f"{method}-{uuid4()}", method, dict(args), instance)
    side.asked[request.message_id] = request
    await asyncio.wait_for(side.clients[0].insist(request), SETTLE_S)
    return request


async def _obey(side: Side) -> None:
    """As a person would: a start that libvirt keeps for ever is taken from it in the way that the answer names."""
    kept = {
        (row.instance, found)
        for row in _written(side).rows
        for found in re.findall(r"remove /run/libvirt/qemu/(\S+\.xml)", json.dumps(row.answer))
    }
    if not kept or not isinstance(side.host, LibvirtHost):
        return
    await asyncio.to_thread(side.host.libvirtd.kill)
    for instance, file in kept:
        side.teller.count("starts taken from libvirt by hand")
        side.teller.tell(f"  {file} is removed, as the answer says")
        side.disturbed.add(str(instance))
        (side.host.libvirtd.socket.parent / "qemu" / file).unlink(missing_ok=True)
    await asyncio.to_thread(side.host.libvirtd.start)


async def _settle_hanging(side: Side) -> None:
    """As a person would: stuck and unknown ones are tried again, a guest that doesn't let go of a device switched
    off before, and given up where that is refused."""
    for row in _written(side).hanging:
        if "is still attached" in json.dumps(row.answer):
            side.teller.tell(f"{row.instance} doesn't let go: it is switched off")
            await _ask(side, "stop", {"instance_uuid": row.instance, "graceful": False}, row.instance or "")
        side.teller.tell(f"retry of {row.method} {row.id}, {row.status}: {json.dumps(row.answer)}")
        answer = await _ask(side, "retry_operation", {"operation_id": row.id}, row.instance or "")
        if b'"conflict"' in answer.answers[0]:
            side.teller.count("stuck or unknown, given up")
            await _ask(side, "abandon_operation", {"operation_id": row.id}, row.instance or "")
        else:
            side.teller.count("stuck or unknown, retried")
            side.retries[row.id] = side.retries.get(row.id, 0) + 1


def _written(side: Side) -> Written:
    """What this round has in the journal; all its instances are its own."""
    return journal.read(side.journal, side.before)


def in_all(side: Side) -> list[str]:
    """What must hold of all rounds together, at the end."""
    written, asked = journal.read(side.journal), side.asked.values()
    return [
        *invariants.answers(asked, written),
        *invariants.stream(side.listener.events, written),
        *invariants.told(side.listener.events, written, side.retries),
        *invariants.generations(written),
    ]


async def _look(side: Side, asked: list[Asked]) -> list[str]:
    await _obey(side)
    await _settle_hanging(side)
    found = await _until_holds(lambda: _quiet(side))
    written = _written(side)
    retried = frozenset(side.retries)
    found += invariants.answers(asked, written)
    found += invariants.expiry(asked, written, (side.clock.low, side.clock.high), retried)
    found += await _until_holds(lambda: _as_told(side))
    found += invariants.stream(side.listener.events, _written(side))
    found += invariants.told(side.listener.events, written, side.retries)
    found += invariants.generations(written)
    found += side.mail.differing + side.listener.mail.differing
    side.teller.came_to("resends known by id", side.mail.resends + side.listener.mail.resends)
    side.teller.came_to("events", len(side.listener.events))
    return found


def _quiet(side: Side) -> list[str]:
    """Nothing is under way, and all that was written has been told."""
    written = _written(side)
    found = [f"{row.method} {row.id} is {row.status}" for row in written.unfinished]
    if written.unsent:
        found.append(f"{written.unsent} answers and events are unsent")
    if len(side.listener.events) < written.last_sequence:
        found.append(f"{len(side.listener.events)} of {written.last_sequence} events came")
    return found


def _as_told(side: Side) -> list[str]:
    """libvirt, disk and journal agree, and the events say so."""
    written, picture = _written(side), side.host.picture()
    args = {name: request.args for name, request in side.asked.items()}
    must = expected.expect(written.rows, args)
    found = expected.differences(must, picture, side.disturbed)
    now = {uuid: seen.power for uuid, seen in picture.domains.items()}
    return [*found, *picture.litter, *invariants.power(side.listener.events, now)]


async def _until_holds(check: Callable[[], list[str]]) -> list[str]:
    """What still doesn't hold after some seconds of peace."""
    end = time.monotonic() + PEACE_S
    while found := await _steady(check):
        if time.monotonic() > end:
            return found
        await asyncio.sleep(0.2)
    return []


async def _steady(look: Callable[[], T]) -> T:
    """Again while libvirt is still coming up, or something goes while it is looked at. Raises TimeoutError when
    libvirt doesn't answer at all."""
    end = time.monotonic() + PEACE_S
    while True:
        try:
            async with asyncio.timeout(HANGS_S):
                return await asyncio.to_thread(look)
        except (libvirt.libvirtError, FileNotFoundError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)


async def _cleared(side: Side, instances: set[str]) -> list[str]:
    """Everything is destroyed; nothing of ours may be left."""
    requests: list[Awaitable[Asked]] = [
        _ask(side, "destroy", {"instance_uuid": uuid}, uuid) for uuid in sorted(instances)
    ]
    try:
        done = await asyncio.gather(*requests)
    except TimeoutError:
        return ["the last destroys weren't answered"]
    found = [
        f"{request.message_id} failed in peace: {request.answers[0]!r}"
        for request in done
        if b'"error":{' in request.answers[0].replace(b" ", b"")
    ]
    found += await _until_holds(lambda: _quiet(side))
    return found + await _until_holds(lambda: _left(side))


def _left(side: Side) -> list[str]:
    picture = side.host.picture()
    return [*picture.litter, *(f"{uuid} is left: {seen}" for uuid, seen in picture.domains.items())]
