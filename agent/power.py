"""What is known of each instance's power state, and the events that tell of its changes.

The hypervisor's observations come in at the bottom; each real change goes out as one durable
`compute.instance.power_state` event, in the journal together with the new state, so that what changed
while the agent was away shows as a difference at the next listing.

    POWER    the guest's state changed: told when it differs from the last one recorded
    LISTING  all domains after a (re)connect: differences are told with `observed: resync`
    GONE     the domain was undefined: forgotten
    LOST     states are unknown from now on; the last ones known stay readable beside that

Changes of different guests are written side by side, as the journal syncs many at the cost of one; those of
one guest one after the other. While the journal can't be written (a full disk), they are taken again and again
and the later ones wait behind them: no change is lost, and none is told out of its order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog

from agent.bunches import Bunches
from agent.errors import AgentError, Unavailable
from agent.hypervisor.ports import DomainView, Kind, Observation
from agent.hypervisor.sightings import Sightings
from agent.journal.records import NewEvent
from agent.patience import until_done
from agent.spec import PowerState

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Ledger(Protocol):
    """The journal's part in this."""

    async def last_states(self) -> dict[UUID, tuple[str, datetime]]: ...

    async def record_power(
        self, uuid: UUID, state: str | None, events: Any, *, bump: bool, at_least: int = 0
    ) -> int | None: ...


class Guests(Protocol):
    """What of `ports.Domains` is used here."""

    @property
    def sightings(self) -> Sightings: ...

    async def get(self, uuid: UUID) -> DomainView: ...

    async def stamp(self, uuid: UUID, generation: int, request_id: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Cause:
    """The operation that was under way on an instance."""

    method: str
    request_id: str | None


class PowerStates:
    """One reader of the hypervisor's observations; `cause` tells what was under way on an instance at a time."""

    def __init__(self, ledger: Ledger, cause: Callable[[UUID, datetime], Cause | None], guests: Guests) -> None:
        self._ledger = ledger
        self._cause = cause
        self._guests = guests
        self._states: dict[UUID, PowerState] = {}
        self.reachable = False
        self.since: datetime | None = None
        """Since when it is reachable, or isn't; None until the first observation."""
        self.resynced = asyncio.Event()
        """Set once what the first listing told of the time before is recorded."""

    def last_known(self, uuid: UUID) -> PowerState | None:
        return self._states.get(uuid)

    async def load(self) -> None:
        """Begin with what an earlier run had recorded."""
        recorded = await _until_written(self._ledger.last_states)
        self._states = {uuid: PowerState(state) for uuid, (state, _) in recorded.items()}

    async def follow(self, observations: AsyncIterator[Observation]) -> None:
        """Endless; the one who drives it stops it by cancelling."""
        bunches = Bunches[Observation](_whose)
        async with asyncio.TaskGroup() as beside:
            beside.create_task(bunches.fill(observations))
            while bunch := await bunches.next():
                await _until_written(partial(self._take_all, bunch))

    async def _take_all(self, bunch: list[Observation]) -> None:
        await _side_by_side(self._take(seen) for seen in bunch)

    async def _take(self, seen: Observation) -> None:
        match seen.kind:
            case Kind.LOST:
                self._reached(False, seen.at)
                log.warning("hypervisor.lost")
            case Kind.LISTING:
                self._reached(True, seen.at)
                await self._resync(seen)
                self.resynced.set()
            case Kind.GONE if seen.uuid is not None:
                self._guests.sightings.missed(seen.uuid, seen.at)
                await self._forget(seen.uuid)
            case Kind.POWER if seen.uuid is not None:
                self._guests.sightings.heard(seen.uuid, seen.state, seen.reason, seen.at)
                await self._changed(seen.uuid, seen.state, seen.reason, seen)
                await self._meet(seen.uuid)

    def _reached(self, reachable: bool, at: datetime) -> None:
        if self.since is None or reachable is not self.reachable:
            self.reachable, self.since = reachable, at

    async def _resync(self, listing: Observation) -> None:
        self._guests.sightings.listed(listing.domains, listing.at)
        changed = (self._changed(v.uuid, v.power_state, v.reason, listing) for v in listing.domains)
        await _side_by_side(changed)
        there = {view.uuid for view in listing.domains}
        await _side_by_side(self._forget(uuid) for uuid in self._states.keys() - there)

    async def _changed(self, uuid: UUID, new: PowerState, reason: str, seen: Observation) -> None:
        old = self._states.get(uuid, PowerState.NOSTATE)
        if new is old:
            return
        # When it happened counts: it is often heard of after the operation's end.
        cause = self._cause(uuid, seen.at)
        # An operation has its own generation already; what happens by itself is one more. The
        # journal writes whichever it is into the event.
        spontaneous = cause is None
        data = {
            "old": old.value,
            "new": new.value,
            "old_code": old.code,
            "new_code": new.code,
            "reason": reason,
            "request_id": cause.request_id if cause else None,
            "observed": "resync" if seen.kind is Kind.LISTING else "live",
        }
        event = NewEvent(type="compute.instance.power_state", subject=uuid, data=data)
        sighting = self._guests.sightings.of(uuid)
        told = await self._ledger.record_power(
            uuid, new.value, [event], bump=spontaneous, at_least=sighting.view.generation if sighting else 0
        )
        self._states[uuid] = new
        if spontaneous and told is not None:
            await self._write_stamp(uuid, told)
        # What an operation changes, the line of its end tells.
        write = log.info if spontaneous else log.debug
        write("power_state", instance=str(uuid), old=old.value, new=new.value, reason=reason)

    async def _meet(self, uuid: UUID) -> None:
        """Look at a new guest once, so that there is something to show when it can't be asked."""
        if self._guests.sightings.of(uuid) is None:
            with suppress(AgentError):
                await self._guests.get(uuid)

    async def _write_stamp(self, uuid: UUID, generation: int) -> None:
        """Best effort: the journal has it, the domain's copy is for the loss of the journal."""
        try:
            await self._guests.stamp(uuid, generation, None)
        except AgentError as error:
            log.warning("generation.not_stamped", instance=str(uuid), error=error.message)

    async def _forget(self, uuid: UUID) -> None:
        if uuid in self._states:
            await self._ledger.record_power(uuid, None, [], bump=False)
            self._states.pop(uuid, None)


def _whose(seen: Observation) -> UUID | None:
    return seen.uuid if seen.kind in (Kind.POWER, Kind.GONE) else None


async def _side_by_side(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of them, to their ends; then raises what one of them raised."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if outcome is not None:
            raise outcome


async def _until_written(work: Callable[[], Awaitable[T]]) -> T:
    """Taking an observation twice is harmless: what was recorded of it is no change the second time."""
    return await until_done(work, may_pass=lambda failure: isinstance(failure, Unavailable), jitter_s=0.05)
