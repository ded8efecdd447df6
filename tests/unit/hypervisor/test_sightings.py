"""What was last seen of each guest: whichever look was begun later counts, and an event beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from agent.errors import NotFound, Unavailable
from agent.hypervisor.ports import DomainView
from agent.hypervisor.sightings import Sightings
from agent.spec import PowerState

A, B = uuid4(), uuid4()
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING, PAUSED = PowerState.RUNNING, PowerState.PAUSED


def at(second: int) -> datetime:
    return BEGIN + timedelta(seconds=second)


def view(uuid: UUID = A, state: PowerState = RUNNING, generation: int = 1) -> DomainView:
    return DomainView(
        uuid=uuid, name="vm", power_state=state, reason="", generation=generation, request_id=None, spec=None
    )


def state(sightings: Sightings, uuid: UUID = A) -> PowerState | None:
    seen = sightings.of(uuid)
    return seen.view.power_state if seen else None


def test_a_look_that_was_begun_later_counts_even_if_it_came_back_earlier() -> None:
    known = Sightings()
    known.saw(view(generation=2), at(2))
    known.saw(view(generation=1), at(1))
    seen = known.of(A)
    assert seen is not None
    assert (seen.view.generation, seen.at) == (2, at(2))


def test_what_was_missed_by_an_earlier_look_is_still_there() -> None:
    known = Sightings()
    known.saw(view(), at(2))
    known.missed(A, at(1))
    assert state(known) is RUNNING
    known.missed(A, at(3))
    assert known.of(A) is None


def test_what_is_gone_isnt_brought_back_by_a_look_begun_before() -> None:
    known = Sightings()
    known.missed(A, at(2))
    known.saw(view(), at(1))
    assert known.of(A) is None
    known.saw(view(), at(3))
    assert state(known) is RUNNING


def test_an_event_tells_of_power_alone_and_since_when() -> None:
    known = Sightings()
    known.saw(view(generation=7), at(1))
    known.heard(A, PAUSED, "user", at(2))
    seen = known.of(A)
    assert seen is not None
    assert (seen.view.power_state, seen.view.reason, seen.view.generation) == (PAUSED, "user", 7)
    assert (seen.at, seen.looked_at) == (at(2), at(1))


def test_an_event_from_before_the_look_is_old() -> None:
    known = Sightings()
    known.saw(view(), at(2))
    known.heard(A, PAUSED, "user", at(1))
    assert state(known) is RUNNING


def test_a_look_begun_before_an_event_gives_all_but_the_power() -> None:
    known = Sightings()
    known.saw(view(), at(1))
    known.heard(A, PAUSED, "user", at(3))
    known.saw(view(generation=2), at(2))
    seen = known.of(A)
    assert seen is not None
    assert (seen.view.generation, seen.view.power_state, seen.at) == (2, PAUSED, at(3))


def test_an_event_of_a_guest_that_nobody_has_seen_is_nothing_to_show() -> None:
    known = Sightings()
    known.heard(A, RUNNING, "booted", at(1))
    assert known.of(A) is None


def test_a_listing_that_was_told_adds_the_unknown_and_changes_nobody() -> None:
    known = Sightings()
    known.saw(view(A, RUNNING), at(1))
    assert not known.complete
    known.listed((view(A, PAUSED), view(B, PAUSED)), at(2))
    assert known.complete
    assert (state(known, A), state(known, B)) == (RUNNING, PAUSED)


async def test_who_isnt_in_a_look_at_all_is_gone() -> None:
    known = Sightings()
    known.saw(view(A), at(1))
    known.saw(view(B), at(1))

    async def only_b() -> tuple[DomainView, ...]:
        return (view(B),)

    await known.look_at_all(only_b())
    assert known.complete
    assert [seen.view.uuid for seen in known.all()] == [B]


async def test_a_look_at_one_that_is_gone_says_so_and_remembers_it() -> None:
    known = Sightings()
    known.saw(view(), at(1))

    async def gone() -> DomainView:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        await known.look_at(A, gone())
    assert known.of(A) is None


async def test_a_look_that_fails_changes_nothing() -> None:
    known = Sightings()
    known.saw(view(), at(1))

    async def away() -> DomainView:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await known.look_at(A, away())
    assert state(known) is RUNNING
