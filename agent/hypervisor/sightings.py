"""What was last seen of each guest, and when. One `Sightings` for a driver.

Every look at a guest passes here, whoever asked for it: so what a read shows without a fresh look is never older
than what the agent has answered before. Looks may overtake each other; the one that was begun later counts.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from agent.errors import NotFound
from agent.hypervisor.ports import DomainView
from agent.spec import PowerState

KEPT = timedelta(minutes=5)
"""How long it is known that a guest is gone: longer than a look takes that was begun before."""


NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sighting:
    """`looked_at`: when the look was begun that gave the view; `at`: that, or when an event told of its power
    since."""

    view: DomainView
    at: datetime
    looked_at: datetime


class Sightings:
    def __init__(self) -> None:
        self.complete = False
        """Whether all guests there are have been seen at once, ever."""
        self._seen: dict[UUID, Sighting] = {}
        self._gone: dict[UUID, datetime] = {}

    def of(self, uuid: UUID) -> Sighting | None:
        return self._seen.get(uuid)

    def all(self) -> tuple[Sighting, ...]:
        return tuple(self._seen.values())

    async def look_at(self, uuid: UUID, look: Awaitable[DomainView]) -> DomainView:
        """What `look` returns or raises, and remember it."""
        at = datetime.now(UTC)
        try:
            view = await look
        except NotFound:
            self.missed(uuid, at)
            raise
        self.saw(view, at)
        return view

    async def look_at_all(self, look: Awaitable[tuple[DomainView, ...]]) -> tuple[DomainView, ...]:
        """As `look_at`; whatever isn't there is gone."""
        at = datetime.now(UTC)
        views = await look
        for view in views:
            self.saw(view, at)
        for uuid in self._seen.keys() - {view.uuid for view in views}:
            self.missed(uuid, at)
        self._gone = {uuid: when for uuid, when in self._gone.items() if at - when < KEPT}
        self.complete = True
        return views

    def listed(self, views: tuple[DomainView, ...], at: datetime) -> None:
        """Told by the hypervisor itself: whom nobody has looked at before is known from now on."""
        for view in views:
            if view.uuid not in self._seen:
                self.saw(view, at)
        self.complete = True

    def saw(self, view: DomainView, at: datetime) -> None:
        if at < self._last_look(view.uuid):
            return
        had, self._seen[view.uuid] = self._seen.get(view.uuid), Sighting(view, at, at)
        self._gone.pop(view.uuid, None)
        if had is not None:
            self.heard(view.uuid, had.view.power_state, had.view.reason, had.at)

    def missed(self, uuid: UUID, at: datetime) -> None:
        """It isn't there, or isn't ours."""
        if at >= self._last_look(uuid):
            self._seen.pop(uuid, None)
            self._gone[uuid] = at

    def heard(self, uuid: UUID, state: PowerState, reason: str, at: datetime) -> None:
        """An event told of its power."""
        had = self._seen.get(uuid)
        if had is not None and at > had.at:
            view = had.view.model_copy(update={"power_state": state, "reason": reason})
            self._seen[uuid] = replace(had, view=view, at=at)

    def _last_look(self, uuid: UUID) -> datetime:
        seen = self._seen.get(uuid)
        return seen.looked_at if seen else self._gone.get(uuid, NEVER)
