"""One round: load and accidents, then peace, then a look at everything, then all is cleared away and looked at
again. What doesn't hold is returned, in words."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterable
from uuid import uuid4

from tests.chaos import expected, faults, invariants, journal
from tests.chaos.faults import Act, name
from tests.chaos.ground import Ground
from tests.chaos.load import Asked

SETTLE_S = 120.0
LOAD_S = 9.0


async def one(ground: Ground, rng: random.Random, requests: int) -> list[str]:
    """Violations; none is what one hopes for."""
    story = ground.story
    before = await asyncio.to_thread(ground.host.picture)
    asked = ground.load.make(requests, rng)
    ground.asked |= {request.message_id: request for request in asked}
    story.counts["requests"] += len(asked)
    accidents = asyncio.create_task(_accidents(ground, rng))
    load = asyncio.create_task(ground.load.run(asked, LOAD_S, random.Random(rng.random())))
    await asyncio.wait({accidents})
    healed = time.monotonic()
    found = await _answered(ground, load, asked)
    accidents.result()
    story.recovered(time.monotonic() - healed)
    found += await _look(ground, asked)
    found += await _cleared(ground, {request.instance for request in asked})
    after = await asyncio.to_thread(ground.host.picture)
    if before.others != after.others:
        found.append(f"a bystander was touched: {before.others} is now {after.others}")
    found += [f"agent: {surprise}" for surprise in ground.agent.surprises]
    found += invariants.log(ground.agent.lines())
    story.counts["duplicates answered"] += sum(len(request.answers) - 1 for request in asked if request.answers)
    story.counts["sent again"] += sum(request.sent - 1 for request in asked)
    return found


async def _accidents(ground: Ground, rng: random.Random) -> None:
    chosen = [
        rng.choices(wanted, k=rng.randint(1, 3))
        if (wanted := [act for act in acts if ground.only in name(act)])
        else []
        for acts in faults.BY_DRIVER[ground.host.driver]
    ]
    async with asyncio.TaskGroup() as group:
        for acts, lock in zip(chosen, (ground.agent.lock, ground.broker_lock), strict=True):
            group.create_task(_lane(ground, acts, lock, random.Random(rng.random())))


async def _lane(ground: Ground, acts: Iterable[Act], lock: asyncio.Lock, rng: random.Random) -> None:
    for act in acts:
        await asyncio.sleep(rng.random() * 1.5)
        async with lock:
            ground.story.tell(name(act))
            ground.story.kinds[name(act)] += 1
            await act(ground, rng)


async def _answered(ground: Ground, load: asyncio.Task[None], asked: list[Asked]) -> list[str]:
    end = time.monotonic() + SETTLE_S
    await ground.agent.check()
    while time.monotonic() < end and not load.done():
        await asyncio.wait({load}, timeout=0.5)
        await ground.agent.check()
    if load.done():
        load.result()
        return []
    load.cancel()
    await asyncio.wait({load})
    waiting = [request.message_id for request in asked if not request.answered.is_set()]
    return [f"not answered {SETTLE_S:.0f} s after all was mended: {waiting}"]


async def _ask(ground: Ground, method: str, args: dict[str, object], instance: str) -> Asked:
    request = Asked(f"{method}-{uuid4()}", method, dict(args), instance)
    ground.asked[request.message_id] = request
    await asyncio.wait_for(ground.clients[0].insist(request), SETTLE_S)
    return request


async def _settle_hanging(ground: Ground) -> None:
    """As a person would: stuck and unknown ones are tried again."""
    for row in journal.read(ground.journal).hanging:
        ground.story.counts["stuck or unknown, retried"] += 1
        ground.retries[row.id] = ground.retries.get(row.id, 0) + 1
        ground.story.tell(f"retry of {row.method} {row.id}, {row.status}: {json.dumps(row.answer)}")
        await _ask(ground, "retry_operation", {"operation_id": row.id}, row.instance or "")


async def _look(ground: Ground, asked: list[Asked]) -> list[str]:
    await _settle_hanging(ground)
    found = await _until_holds(lambda: _quiet(ground))
    written = journal.read(ground.journal)
    found += invariants.answers(asked, written, frozenset(ground.retries))
    found += await _until_holds(lambda: _as_told(ground))
    found += invariants.stream(ground.listener.events, journal.read(ground.journal))
    found += invariants.told(ground.listener.events, written, ground.retries)
    found += invariants.generations(written)
    found += ground.mail.differing + ground.listener.mail.differing
    ground.story.counts["resends known by id"] = ground.mail.resends + ground.listener.mail.resends
    ground.story.counts["events"] = len(ground.listener.events)
    return found


def _quiet(ground: Ground) -> list[str]:
    """Nothing is under way, and all that was written has been told."""
    written = journal.read(ground.journal)
    found = [f"{row.method} {row.id} is {row.status}" for row in written.unfinished]
    if written.unsent:
        found.append(f"{written.unsent} answers and events are unsent")
    if len(ground.listener.events) < written.last_sequence:
        found.append(f"{len(ground.listener.events)} of {written.last_sequence} events came")
    return found


def _as_told(ground: Ground) -> list[str]:
    """libvirt, disk and journal agree, and the events say so."""
    written, picture = journal.read(ground.journal), ground.host.picture()
    args = {name: request.args for name, request in ground.asked.items()}
    must = expected.expect(written.rows, args)
    found = expected.differences(must, picture, ground.disturbed)
    now = {uuid: seen.power for uuid, seen in picture.domains.items()}
    return [*found, *picture.litter, *invariants.power(ground.listener.events, now)]


async def _until_holds(check: Callable[[], list[str]]) -> list[str]:
    """What still doesn't hold after some seconds of peace."""
    end = time.monotonic() + 15
    while found := await asyncio.to_thread(check):
        if time.monotonic() > end:
            return found
        await asyncio.sleep(0.2)
    return []


async def _cleared(ground: Ground, instances: set[str]) -> list[str]:
    """Everything is destroyed; nothing of ours may be left."""
    requests = [_ask(ground, "destroy", {"instance_uuid": uuid}, uuid) for uuid in sorted(instances)]
    try:
        done = await asyncio.gather(*requests)
    except TimeoutError:
        return ["the last destroys weren't answered"]
    found = [
        f"{request.message_id} failed in peace: {request.answers[0]!r}"
        for request in done
        if b'"error":{' in request.answers[0].replace(b" ", b"")
    ]
    found += await _until_holds(lambda: _quiet(ground))
    return found + await _until_holds(lambda: _left(ground))


def _left(ground: Ground) -> list[str]:
    picture = ground.host.picture()
    return [*picture.litter, *(f"{uuid} is left: {seen}" for uuid, seen in picture.domains.items())]
