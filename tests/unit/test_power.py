"""What observations become: one event for each real change, none for what was known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from agent.errors import NotFound, Unavailable
from agent.hypervisor.ports import DomainView, Kind, Observation
from agent.hypervisor.sightings import Sightings
from agent.journal import Journal
from agent.journal.sealing import KeyFile
from agent.power import Cause, PowerStates
from agent.spec import PowerState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    key = KeyFile.load_or_create(tmp_path / "key")
    opened = await Journal.open(tmp_path / "journal.db", key, host="h1")
    yield opened
    await opened.close()


class Guests:
    """Domains that take a stamp and are gone when they are looked for."""

    def __init__(self) -> None:
        self.stamped: dict[UUID, int] = {}
        self.sightings = Sightings()

    async def get(self, uuid: UUID) -> DomainView:
        raise NotFound(str(uuid))

    async def stamp(self, uuid: UUID, generation: int, request_id: str | None) -> None:
        self.stamped[uuid] = generation


GUESTS = Guests()


def view(uuid: UUID, state: PowerState) -> DomainView:
    return DomainView(
        uuid=uuid, name="vm", power_state=state, reason="booted", generation=1, request_id=None, spec=None
    )


def listing(*views: DomainView) -> Observation:
    return Observation(Kind.LISTING, NOW, domains=views)


def power(uuid: UUID, state: PowerState, reason: str = "x") -> Observation:
    return Observation(Kind.POWER, NOW, uuid=uuid, state=state, reason=reason)


async def follow(states: PowerStates, *seen: Observation) -> None:
    async def all_of_it() -> AsyncIterator[Observation]:
        for one in seen:
            yield one

    await states.follow(all_of_it())


async def told(journal: Journal) -> list[tuple[str, str, str]]:
    events = await journal.events_from(1, 100)
    return [(event.data["old"], event.data["new"], event.data["observed"]) for event in events]


async def test_a_change_is_told_once_with_old_new_and_reason(journal: Journal) -> None:
    uuid = uuid4()
    states = PowerStates(journal, lambda *_: None, GUESTS)
    await follow(states, listing(), power(uuid, PowerState.RUNNING, "booted"), power(uuid, PowerState.RUNNING))
    [event] = await journal.events_from(1, 10)
    assert event.type == "compute.instance.power_state"
    assert event.subject == uuid
    assert (event.data["old"], event.data["new"], event.data["reason"]) == ("nostate", "running", "booted")
    assert (event.data["old_code"], event.data["new_code"]) == (0, 1)


async def test_what_changed_while_the_agent_was_away_is_told_as_found_later(journal: Journal) -> None:
    uuid = uuid4()
    before = PowerStates(journal, lambda *_: None, GUESTS)
    await follow(before, listing(), power(uuid, PowerState.RUNNING))
    after = PowerStates(journal, lambda *_: None, GUESTS)
    await after.load()
    await follow(after, listing(view(uuid, PowerState.CRASHED)))
    assert (await told(journal))[-1] == ("running", "crashed", "resync")


async def test_what_did_not_change_while_the_agent_was_away_is_not_told_again(journal: Journal) -> None:
    uuid = uuid4()
    await follow(PowerStates(journal, lambda *_: None, GUESTS), listing(), power(uuid, PowerState.RUNNING))
    after = PowerStates(journal, lambda *_: None, GUESTS)
    await after.load()
    await follow(after, listing(view(uuid, PowerState.RUNNING)))
    assert len(await told(journal)) == 1


async def test_a_spontaneous_change_is_a_generation_of_its_own(journal: Journal) -> None:
    uuid = uuid4()
    await journal.bump(uuid)
    await follow(PowerStates(journal, lambda *_: None, GUESTS), listing(), power(uuid, PowerState.RUNNING))
    assert await journal.generation(uuid) == 2
    assert GUESTS.stamped[uuid] == 2
    [event] = await journal.events_from(1, 10)
    assert event.data["generation"] == 2


async def test_a_change_by_an_operation_names_its_request_and_has_its_generation(journal: Journal) -> None:
    uuid = uuid4()
    await journal.bump(uuid)
    states = PowerStates(journal, lambda *_: Cause("start", "req-7"), GUESTS)
    await follow(states, listing(), power(uuid, PowerState.RUNNING))
    [event] = await journal.events_from(1, 10)
    assert (event.data["request_id"], event.data["generation"]) == ("req-7", 1)
    assert await journal.generation(uuid) == 1


async def test_a_domain_that_is_gone_is_forgotten_so_that_its_uuid_begins_anew(journal: Journal) -> None:
    uuid = uuid4()
    states = PowerStates(journal, lambda *_: None, GUESTS)
    gone = Observation(Kind.GONE, NOW, uuid=uuid)
    await follow(states, listing(), power(uuid, PowerState.SHUTDOWN), gone, power(uuid, PowerState.RUNNING))
    assert (await told(journal))[-1] == ("nostate", "running", "live")
    assert states.last_known(uuid) is PowerState.RUNNING


async def test_while_the_hypervisor_is_lost_the_last_state_stays_readable(journal: Journal) -> None:
    uuid = uuid4()
    states = PowerStates(journal, lambda *_: None, GUESTS)
    await follow(states, listing(view(uuid, PowerState.RUNNING)), Observation(Kind.LOST, NOW))
    assert not states.reachable
    assert states.last_known(uuid) is PowerState.RUNNING
    assert GUESTS.sightings.of(uuid) is not None


class FullDisk:
    """A journal on a disk that is full for the first `refusals` calls."""

    def __init__(self, journal: Journal, refusals: int) -> None:
        self._journal = journal
        self.refusals = refusals

    def _need_room(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("the journal's disk is full: free some space")

    async def last_states(self) -> dict[UUID, tuple[str, datetime]]:
        self._need_room()
        return await self._journal.last_states()

    async def record_power(
        self, uuid: UUID, state: str | None, events: Any, *, bump: bool, at_least: int = 0
    ) -> int | None:
        self._need_room()
        return await self._journal.record_power(uuid, state, events, bump=bump, at_least=at_least)


async def test_a_full_disk_holds_changes_up_and_loses_none(journal: Journal) -> None:
    uuid, other = uuid4(), uuid4()
    disk = FullDisk(journal, refusals=2)
    states = PowerStates(disk, lambda *_: None, GUESTS)
    await follow(states, listing(view(uuid, PowerState.RUNNING)), power(other, PowerState.PAUSED))
    assert disk.refusals == 0
    assert await told(journal) == [("nostate", "running", "resync"), ("nostate", "paused", "live")]


async def test_a_full_disk_does_not_keep_a_gone_guest_alive(journal: Journal) -> None:
    uuid = uuid4()
    disk = FullDisk(journal, refusals=0)
    states = PowerStates(disk, lambda *_: None, GUESTS)
    await follow(states, listing(view(uuid, PowerState.RUNNING)))
    disk.refusals = 1
    await follow(states, Observation(Kind.GONE, NOW, uuid=uuid))
    assert await journal.last_states() == {}


async def test_what_was_recorded_is_waited_for_at_the_start(journal: Journal) -> None:
    uuid = uuid4()
    await follow(PowerStates(journal, lambda *_: None, GUESTS), listing(view(uuid, PowerState.PAUSED)))
    states = PowerStates(FullDisk(journal, refusals=1), lambda *_: None, GUESTS)
    await states.load()
    assert states.last_known(uuid) is PowerState.PAUSED


async def test_a_new_journal_goes_on_counting_from_what_the_domains_have(journal: Journal) -> None:
    uuid, guests = uuid4(), Guests()
    kept = view(uuid, PowerState.RUNNING).model_copy(update={"generation": 7})
    await follow(PowerStates(journal, lambda *_: None, guests), listing(kept))
    assert await journal.generation(uuid) == 8
    assert guests.stamped[uuid] == 8


class Together:
    """A journal that writes nothing before it is asked to write for `guests` at once."""

    def __init__(self, guests: int) -> None:
        self._barrier = asyncio.Barrier(guests)
        self.written: list[tuple[UUID, str | None]] = []

    async def last_states(self) -> dict[UUID, tuple[str, datetime]]:
        return {}

    async def record_power(
        self, uuid: UUID, state: str | None, events: Any, *, bump: bool, at_least: int = 0
    ) -> int | None:
        await self._barrier.wait()
        self.written.append((uuid, state))
        return None


async def test_changes_of_many_guests_are_written_at_once_and_those_of_one_in_their_order() -> None:
    uuids = [uuid4() for _ in range(20)]
    journal = Together(len(uuids))
    up = [power(uuid, PowerState.RUNNING) for uuid in uuids]
    paused = [power(uuid, PowerState.PAUSED) for uuid in uuids]
    async with asyncio.timeout(20):
        await follow(PowerStates(journal, lambda *_: None, GUESTS), *up, *paused)
    for uuid in uuids:
        assert [state for written, state in journal.written if written == uuid] == ["running", "paused"]


async def test_a_listing_is_written_at_once() -> None:
    uuids = [uuid4() for _ in range(20)]
    journal = Together(len(uuids))
    async with asyncio.timeout(20):
        await follow(
            PowerStates(journal, lambda *_: None, GUESTS), listing(*(view(u, PowerState.RUNNING) for u in uuids))
        )
    assert {uuid for uuid, _ in journal.written} == set(uuids)
