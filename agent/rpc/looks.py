"""Reads that never wait for a hypervisor that hangs: a fresh look if it comes at once, else what was last seen.

    asked ──answered within PATIENCE_S──> as it is now
      │
      └──not yet──> as last seen, and when that was. Its power state is unknown once the hypervisor can't be
                    asked, or owes an answer for OVERDUE_S

A question is put once at a time, and whoever asks meanwhile waits for the same answer. It isn't taken back when
its reader has gone: a blocking call that is given up costs a thread, and the answer serves the next reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

from agent.errors import AgentError, NotFound, TimedOut, Unavailable
from agent.hypervisor.ports import Domains, DomainView

T = TypeVar("T")

CANT_BE_ASKED = (Unavailable, TimedOut)
"""What a hypervisor that is away, or hangs, makes of a question."""
PATIENCE_S = 0.075
OVERDUE_S = 1.0
MOST_HUNG = 2
"""Guests that hang at once, until it is taken for the hypervisor that hangs."""


class Question(Generic[T]):
    """One question to the hypervisor, put again and again; `last` is its last answer."""

    def __init__(self, put: Callable[[], Awaitable[T]]) -> None:
        self.last: T | None = None
        self.owed_from: datetime | None = None
        """When it was first put since the last answer."""
        self._put = put
        self._asked: asyncio.Task[AgentError | None] | None = None
        self._asked_at = 0.0
        self._overdue_at = 0.0
        self._failed = False

    @property
    def overdue(self) -> bool:
        return self.owed_from is not None and (self._failed or time.monotonic() >= self._overdue_at)

    async def answer(self, *, wait: bool) -> T | None:
        """The answer, fresh; None when it doesn't come at once and nobody wants to `wait`. Raises what the
        hypervisor answers; that it can't be asked only to who wants to wait."""
        asked = self._ask()
        left = max(0.0, self._asked_at + PATIENCE_S - time.monotonic())
        await asyncio.wait({asked}, timeout=None if wait else left)
        if not asked.done():
            return None
        error = asked.result()
        if error is not None and (wait or not isinstance(error, CANT_BE_ASKED)):
            raise error
        return self.last if error is None else None

    async def best(self) -> T:
        """Fresh if it comes at once, else the last; only the first is waited for. Raises as `answer`."""
        last = self.last
        fresh = await self.answer(wait=last is None)
        if fresh is not None:
            return fresh
        assert last is not None  # noqa: S101 - else it was waited for
        return last

    def _ask(self) -> asyncio.Task[AgentError | None]:
        if self._asked is None or self._asked.done():
            self._asked_at = time.monotonic()
            if self.owed_from is None:
                self.owed_from, self._overdue_at = datetime.now(UTC), self._asked_at + OVERDUE_S
            # A context of its own: neither the deadline nor the log of the reader who happens to be first.
            self._asked = asyncio.create_task(self._hear(), context=contextvars.Context())
        return self._asked

    async def _hear(self) -> AgentError | None:
        """Its error is for whoever waits, and maybe nobody does."""
        try:
            self.last = await self._put()
        except CANT_BE_ASKED as error:
            self._failed = True
            return error
        except AgentError as error:
            self.owed_from, self._failed = None, False
            return error
        self.owed_from, self._failed = None, False
        return None


@dataclass(frozen=True, slots=True)
class Seen:
    """A guest as it was at a moment; not `certain`: its power state may be another by now."""

    view: DomainView
    at: datetime
    certain: bool


class Looks:
    """`reachable`: whether the hypervisor's events are heard."""

    def __init__(self, domains: Domains, reachable: Callable[[], bool]) -> None:
        self._domains = domains
        self._reachable = reachable
        self._all = Question(domains.list)
        self._each: dict[UUID, Question[DomainView]] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def at_one(self, uuid: UUID) -> Seen:
        """Raises NotFound; Unavailable or TimedOut when nothing was ever seen of it."""
        fresh = None
        with contextlib.suppress(NotFound):  # another look, begun later, may have found it
            fresh = await self._at(uuid, wait=self._domains.sightings.of(uuid) is None)
        if (sighting := self._domains.sightings.of(uuid)) is None:
            raise NotFound(f"instance {uuid} isn't on this host")
        return Seen(sighting.view, sighting.at, fresh is not None or self._is_certain(uuid, sighting.at))

    async def at_all(self) -> tuple[Seen, ...]:
        """Raises Unavailable or TimedOut when they were never listed."""
        fresh = await self._all.answer(wait=not self._domains.sightings.complete) is not None
        if self._all.overdue and (self._sweeping is None or self._sweeping.done()):
            self._sweeping = asyncio.create_task(self._sweep(), context=contextvars.Context())
        return tuple(
            Seen(each.view, each.at, fresh or self._is_certain(each.view.uuid, each.at))
            for each in self._domains.sightings.all()
        )

    async def _at(self, uuid: UUID, *, wait: bool) -> DomainView | None:
        """The question is kept for as long as its answer is owed."""
        question = self._each.setdefault(uuid, Question(lambda: self._domains.get(uuid)))
        try:
            return await question.answer(wait=wait)
        finally:
            if question.owed_from is None and self._each.get(uuid) is question:
                del self._each[uuid]

    def _is_certain(self, uuid: UUID, at: datetime) -> bool:
        questions = (self._all, self._each.get(uuid))
        owed = [q.owed_from for q in questions if q is not None and q.overdue and q.owed_from is not None]
        return self._reachable() and not any(since >= at for since in owed)

    async def _sweep(self) -> None:
        """The listing hangs. If it is for one guest, the others can be seen one by one."""
        owed_from, hung = self._all.owed_from, 0
        for each in self._domains.sightings.all():
            if owed_from is None or hung >= MOST_HUNG:
                return
            if each.at < owed_from:
                with contextlib.suppress(NotFound):
                    hung += await self._at(each.view.uuid, wait=False) is None
