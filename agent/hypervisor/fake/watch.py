"""Notices what changes in the fake world, whoever changed it; feeds `observations` and wakes waiters.

Nothing tells it: it looks at the world's token (one `stat`) each `poll` seconds, at once when this process
changed something, and when a guest is due to do something. What happened between two looks isn't lost: each
domain keeps its last changes, numbered.

    (begin) --up--> LISTING --> POWER, GONE ... --down--> LOST --up--> LISTING ...
       +---down--> LOST
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from uuid import UUID

from agent.hypervisor.fake.life import Domain
from agent.hypervisor.fake.views import domain_view
from agent.hypervisor.fake.world import World
from agent.hypervisor.ports import Kind, Observation
from agent.spec import PowerState


class Watch:
    def __init__(self, world: World, poll: float) -> None:
        self._world = world
        self._poll = poll
        self._waiters: set[asyncio.Future[None]] = set()
        world.on_change = self._wake

    async def observations(self) -> AsyncIterator[Observation]:
        """One reader: begins with a LISTING or LOST, each time it is called."""
        look = Look(self._world)
        while True:
            for seen in look.again():
                yield seen
            await self.moment(look.next_due)

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
        self._token: int | None = None
        self._seen: dict[UUID, int] = {}
        self.next_due: float | None = None

    def again(self) -> Iterator[Observation]:
        """What is new, oldest first."""
        if self._world.down:
            if self._up is not False:
                self._up = False
                yield Observation(kind=Kind.LOST, at=_now())
            return
        token = self._world.token
        if self._up and token is not None and token == self._token and not self._due():
            return
        # The token is from before the look: a change in between is looked at twice, never missed.
        self._token = token
        ours = {u: d for u, d in self._world.all().items() if d.spec is not None}
        dues = [d.at for o in ours.values() if o.state is PowerState.RUNNING for d in o.due]
        self.next_due = min(dues, default=None)
        yield from self._compare(ours) if self._up else self._listing(ours)

    def _due(self) -> bool:
        return self.next_due is not None and self.next_due <= time.time()

    def _listing(self, ours: dict[UUID, Domain]) -> Iterator[Observation]:
        self._up = True
        self._seen = {uuid: _last(domain) for uuid, domain in ours.items()}
        domains = tuple(domain_view(d) for d in ours.values())
        yield Observation(kind=Kind.LISTING, at=_now(), domains=domains)

    def _compare(self, ours: dict[UUID, Domain]) -> Iterator[Observation]:
        changes = [
            (change, domain.uuid)
            for domain in ours.values()
            for change in domain.changes
            if change.number > self._seen.get(domain.uuid, 0)
        ]
        for change, uuid in sorted(changes, key=lambda c: (c[0].at, c[0].number)):
            yield Observation(Kind.POWER, change.at, uuid, change.state, change.reason)
        for gone in self._seen.keys() - ours.keys():
            yield Observation(Kind.GONE, _now(), gone)
        self._seen = {uuid: _last(domain) for uuid, domain in ours.items()}


def _last(domain: Domain) -> int:
    return domain.changes[-1].number if domain.changes else 0


def _now() -> datetime:
    return datetime.now(UTC)
