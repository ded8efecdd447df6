from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from agent.errors import NotFound
from agent.journal import Accepted, Answer, Journal, Status
from agent.journal.pruning import piece
from agent.saga import Mark
from tests.unit.journal.samples import INSTANCE, Clock, State, accepted, event, reading, request

WEEK = timedelta(days=7)
OK = Answer(result={})


async def ended(journal: Journal, identity: str, status: Status = Status.SUCCEEDED) -> None:
    record = await accepted(journal, identity, address=None)
    await journal.write_step(record.id, "one", Mark.BEGUN, State())
    await journal.finish(record.id, status, OK, [], {})


async def names(journal: Journal) -> list[str]:
    return [record.identity for record in reversed(await journal.operations(limit=10_000))]


async def test_what_ended_longer_ago_is_forgotten_with_its_steps(
    journal: Journal, clock: Clock, tmp_path: Path
) -> None:
    await ended(journal, "old")
    clock.advance(days=7)
    await ended(journal, "young")
    assert await journal.prune(WEEK, 100, 100) == 0
    clock.advance(seconds=1)
    assert await journal.prune(WEEK, 100, 100) == 1
    assert await names(journal) == ["young"]
    assert isinstance(await journal.accept(request("old")), Accepted)
    with reading(tmp_path / "journal.db") as db:
        assert db.execute("SELECT count(*) FROM steps").get == 1


async def test_the_oldest_ended_go_when_there_are_too_many(journal: Journal, clock: Clock) -> None:
    for n in range(10):
        await ended(journal, f"u:{n}")
        clock.advance(seconds=1)
    assert await journal.prune(WEEK, 4, 100) == 6
    assert await names(journal) == ["u:6", "u:7", "u:8", "u:9"]


async def test_what_is_under_way_or_waits_for_a_person_is_never_forgotten(journal: Journal, clock: Clock) -> None:
    await accepted(journal, "queued")
    await journal.begin((await accepted(journal, "running")).id, [])
    await ended(journal, "stuck", Status.STUCK)
    await ended(journal, "unknown", Status.UNKNOWN)
    for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED):
        await ended(journal, status.value, status)
    clock.advance(days=365)
    assert await journal.prune(WEEK, 0, 0) == 3
    assert await names(journal) == ["queued", "running", "stuck", "unknown"]


async def test_unsent_replies_outlive_their_operation(journal: Journal, clock: Clock) -> None:
    record = await accepted(journal)
    await journal.finish(record.id, Status.SUCCEEDED, OK, [], {})
    clock.advance(days=30)
    assert await journal.prune(WEEK, 0, 0) == 1
    assert len(await journal.unsent_replies(9)) == 1


async def test_unsent_events_and_what_follows_them_stay(journal: Journal, clock: Clock) -> None:
    await journal.append([event() for _ in range(10)])
    await journal.events_sent([1, 2, 3, 5, 6, 7, 8, 9, 10])
    clock.advance(days=30)
    assert await journal.prune(WEEK, 0, 0) == 3
    assert [e.sequence for e in await journal.events_from(4, 100)] == list(range(4, 11))
    with pytest.raises(NotFound):
        await journal.events_from(3, 100)


async def test_young_events_stay_up_to_their_number(journal: Journal, clock: Clock) -> None:
    await journal.append([event() for _ in range(5)])
    clock.advance(days=8)
    await journal.append([event() for _ in range(5)])
    await journal.events_sent(range(1, 11))
    assert await journal.prune(WEEK, 0, 100) == 5
    assert await journal.prune(WEEK, 0, 3) == 2
    assert [e.sequence for e in await journal.events_from(8, 100)] == [8, 9, 10]


async def test_a_clock_set_back_makes_no_gap(journal: Journal, clock: Clock) -> None:
    await journal.append([event()])
    clock.advance(days=-30)
    await journal.append([event()])
    clock.advance(days=30)
    await journal.append([event()])
    await journal.events_sent([1, 2, 3])
    assert await journal.prune(WEEK, 0, 100) == 0
    assert [e.sequence for e in await journal.events_from(1, 9)] == [1, 2, 3]


async def test_generation_and_last_state_of_an_instance_that_is_there_outlive_its_operations(
    journal: Journal, clock: Clock
) -> None:
    await ended(journal, "u:1")
    await journal.record_power(INSTANCE, "running", [], bump=True)
    clock.advance(days=365)
    assert await journal.prune(WEEK, 0, 0) == 1
    assert await journal.generation(INSTANCE) == 1
    assert await journal.last_state(INSTANCE) is not None


async def test_a_generation_goes_with_the_last_operation_of_an_instance_that_is_gone(
    journal: Journal, clock: Clock
) -> None:
    uuid = INSTANCE
    await ended(journal, "u:1")
    await journal.record_power(uuid, "running", [], bump=True)
    await journal.record_power(uuid, None, [], bump=False)
    clock.advance(days=5)
    await ended(journal, "u:2")
    clock.advance(days=5)
    assert await journal.prune(WEEK, 100, 100) == 1
    assert await journal.generation(uuid) == 1
    clock.advance(days=5)
    assert await journal.prune(WEEK, 100, 100) == 1
    assert await journal.generation(uuid) == 0


async def test_who_prunes_is_woken_when_enough_was_added(journal: Journal) -> None:
    growing = asyncio.create_task(journal.grown(10, timeout=3600))
    await journal.append([event() for _ in range(9)])
    assert not growing.done()
    await accepted(journal)
    async with asyncio.timeout(10):
        await growing
    await journal.grown(1, timeout=0.0)  # counted from there on


@pytest.mark.parametrize(
    ("operations", "events", "rows"), [(100_000, 100_000, 10_000), (1000, 5000, 100), (100, 100, 50)]
)
def test_between_two_prunings_at_most_a_tenth_is_added_to_what_is_kept(
    operations: int, events: int, rows: int
) -> None:
    assert piece(operations, events) == rows


async def test_a_large_pruning_lets_others_between_and_gives_the_room_back(
    journal: Journal, clock: Clock, tmp_path: Path
) -> None:
    await asyncio.gather(*(ended(journal, f"u:{n}:" + "x" * 500) for n in range(3000)))
    size = pages(tmp_path)
    clock.advance(days=8)
    pruning = asyncio.ensure_future(journal.prune(WEEK, 100, 100))
    between = 0
    while not pruning.done():
        await accepted(journal, f"between:{between}")
        between += 1
    assert await pruning == 3000
    assert between > 5
    assert len(await names(journal)) == between
    assert pages(tmp_path) < size / 2


def pages(directory: Path) -> int:
    with reading(directory / "journal.db") as db:
        return int(db.execute("PRAGMA page_count").get)
