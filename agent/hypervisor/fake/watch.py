"""Notices what changes in the fake world, whoever changed it; feeds `observations` and wakes waiters.

Nobody tells it: it asks the world's log for more each `poll` seconds (that is one `read` and one `stat`), at
once when this process changed something, and when a guest is due to do something.

    (begin) --up--> LISTING --> POWER, GONE ... --fell--> LOST --up--> LISTING ...
       +---down--> LOST
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from agent.hypervisor.fake.log import Line
from agent.hypervisor.fake.views import domain_view
from agent.hypervisor.fake.world import World
from agent.hypervisor.owners import is_ours
from agent.hypervisor.ports import Kind, Observation


class Watch:
    def __init__(self, world: World, poll: float) -> None:
        self._world = world
        self._poll = poll
        self._waiters: set[asyncio.Future[None]] = set()
        world.on_change = self._wake

    async def observations(self) -> AsyncIterator[Observation]:
        """One reader: begins with a LISTING or LOST, each time it is called."""
        look = Look(self._world)
        try:
            while True:
                for seen in look.again():
                    yield seen
                await self.moment(look.next_due)
        finally:
            look.close()

    async def moment(self, until: float | None = None) -> None:
        """Something may have changed: this process did it, `poll` seconds went by, or it is `until` (the
        clock of `time.time`)."""
        left = self._poll if until is None else min(self._poll, max(0.001, until - time.time()))
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=left)
        finally:
            self._waiters.discard(waiter)
            waiter.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)


class Look:
    """What one reader has seen so far."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._up: bool | None = None
        self._follower = world.follow()
        self.next_due: float | None = None

    def again(self) -> Iterator[Observation]:
        """What is new, oldest first."""
        lines = self._follower.more()
        fell = self._world.down or any(line.kind == "fell" for line in lines)
        if fell and self._up is not False:
            self._up = False
            yield Observation(Kind.LOST, datetime.now(UTC))
        if self._world.down:
            return
        if not self._up:
            self._up = True
            yield self._listing()
        elif lines or (self.next_due is not None and self.next_due <= time.time()):
            self.next_due = self._world.settle()
            lines += self._follower.more()
            yield from filter(
                None, (_observation(line) for line in lines if is_ours(line.host, self._world.owner))
            )

    def close(self) -> None:
        self._follower.close()

    def _listing(self) -> Observation:
        self._world.settle()
        # What happened before the listing needn't be told; what happens in between is told twice, not never.
        self._follower.more()
        self.next_due = self._world.settle()
        domains = tuple(domain_view(d) for d in self._world.all().values() if self._world.is_ours(d))
        return Observation(Kind.LISTING, datetime.now(UTC), domains=domains)


def _observation(line: Line) -> Observation | None:
    match line.kind:
        case "power":
            return Observation(Kind.POWER, line.at, line.uuid, line.state, line.reason)
        case "gone":
            return Observation(Kind.GONE, line.at, line.uuid)
        case _:
            return None
