from __future__ import annotations

import asyncio

import pytest
from pydantic_core import PydanticSerializationError

from agent.errors import NotFound
from agent.journal import Answer, Journal, NewEvent, Status
from agent.secret import Secret
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import INSTANCE, OTHER, Clock, accepted, address, event


async def test_an_event_gets_its_place_in_the_stream(journal: Journal, clock: Clock) -> None:
    data = {"request_id": "req-1", "old": "running", "deep": {"list": [1, None, "é"]}}
    (kept,) = await journal.append([NewEvent(type="compute.instance.power_state", subject=INSTANCE, data=data)])
    assert (kept.sequence, kept.stream, kept.source) == (1, journal.stream, "/compute/host-1")
    assert (kept.type, kept.subject, kept.time) == ("compute.instance.power_state", INSTANCE, clock.now)
    assert kept.data == {**data, "generation": 0}
    assert await journal.events_from(1, 10) == [kept]


async def test_events_carry_the_generation_that_holds_when_they_are_numbered(journal: Journal) -> None:
    await journal.bump(INSTANCE, at_least=6)
    about_host = event("compute.host.started", subject=None)
    kept = await journal.append([event(), event(generation=3), about_host])
    assert [e.data.get("generation") for e in kept] == [7, 3, None]


async def test_the_sequence_has_no_gap_whatever_fails_between(journal: Journal) -> None:
    async def fails() -> None:
        with pytest.raises(PydanticSerializationError):
            await journal.append([event(), NewEvent(type="t", subject=None, data={"password": Secret("x")})])

    await asyncio.gather(*(journal.append([event()]) if n % 3 else fails() for n in range(60)))
    assert [e.sequence for e in await journal.events_from(1, 1000)] == list(range(1, 41))


async def test_the_stream_goes_on_after_a_restart(journal: Journal, open_journal: Open) -> None:
    await journal.append([event(), event()])
    await journal.close()
    later = await open_journal()
    assert later.stream == journal.stream
    assert [e.sequence for e in await later.append([event()])] == [3]


async def test_events_are_unsent_until_the_broker_has_them(journal: Journal) -> None:
    await journal.append([event() for _ in range(5)])
    await journal.events_sent([2, 4])
    assert [e.sequence for e in await journal.unsent_events(2)] == [1, 3]
    await journal.events_sent([1, 2, 3, 4, 5, 99])
    assert await journal.unsent_events(9) == []
    assert len(await journal.events_from(1, 9)) == 5


async def test_replay_is_empty_past_the_end_and_limited(journal: Journal) -> None:
    await journal.append([event() for _ in range(5)])
    assert [e.sequence for e in await journal.events_from(3, 2)] == [3, 4]
    assert await journal.events_from(6, 10) == []
    assert [e.sequence for e in await journal.events_from(0, 1)] == [1]


async def test_events_that_are_not_kept_any_more_are_told_with_the_oldest(journal: Journal, clock: Clock) -> None:
    await journal.append([event() for _ in range(10)])
    await journal.events_sent(range(1, 11))
    await journal.prune(clock.now - clock.now, 100, max_events=4)
    with pytest.raises(NotFound) as caught:
        await journal.events_from(6, 10)
    assert caught.value.details["oldest"] == 7
    assert [e.sequence for e in await journal.events_from(7, 10)] == [7, 8, 9, 10]


async def test_a_stream_with_nothing_kept_goes_on_counting(journal: Journal, clock: Clock) -> None:
    await journal.append([event() for _ in range(3)])
    await journal.events_sent([1, 2, 3])
    clock.advance(days=8)
    assert await journal.prune(clock.now - clock.now, 0, 0) == 3
    with pytest.raises(NotFound) as caught:
        await journal.events_from(3, 1)
    assert caught.value.details["oldest"] == 4
    assert await journal.events_from(4, 1) == []
    assert [e.sequence for e in await journal.append([event()])] == [4]


async def test_the_publisher_is_woken_by_events_and_replies_only(journal: Journal) -> None:
    journal.outgoing.clear()
    record = await accepted(journal)
    await journal.begin(record.id, [])
    await journal.append([])
    await journal.record_power(INSTANCE, "running", [], bump=True)
    assert not journal.outgoing.is_set()
    for wake in (
        journal.append([event()]),
        journal.begin(record.id, [event()]),
        journal.record_power(INSTANCE, "paused", [event()], bump=False),
        journal.add_reply(address("a"), Answer(result={})),
        journal.finish(record.id, Status.STUCK, Answer(error={}), [], {}),
        journal.abandon(record.id, [event()]),
    ):
        await wake
        assert journal.outgoing.is_set()
        journal.outgoing.clear()


async def test_the_publisher_is_woken_for_a_caller_that_has_gone(journal: Journal) -> None:
    journal.outgoing.clear()
    caller = asyncio.ensure_future(journal.append([event()]))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait_for(journal.outgoing.wait(), 10)
    assert len(await journal.unsent_events(9)) == 1


async def test_the_publisher_is_woken_at_the_start(journal: Journal, open_journal: Open) -> None:
    await journal.append([event()])
    await journal.close()
    assert (await open_journal()).outgoing.is_set()


async def test_a_reply_keeps_its_message_id_until_it_is_confirmed(
    journal: Journal, open_journal: Open, clock: Clock
) -> None:
    answer = Answer(error={"code": "busy", "retryable": True})
    await journal.add_reply(address("a"), answer)
    await journal.add_reply(address("b"), answer)
    first, second = await journal.unsent_replies(9)
    assert (first.address, first.answer, first.created_at) == (address("a"), answer, clock.now)
    assert first.message_id != second.message_id
    await journal.close()
    later = await open_journal()
    assert await later.unsent_replies(1) == [first]
    await later.replies_sent([first.id])
    assert await later.unsent_replies(9) == [second]


async def test_a_confirmation_told_twice_takes_no_other_reply_away(journal: Journal) -> None:
    await journal.add_reply(address("a"), Answer(result={}))
    (first,) = await journal.unsent_replies(9)
    await journal.replies_sent([first.id])
    await journal.add_reply(address("b"), Answer(result={}))
    await journal.replies_sent([first.id])
    assert [r.address for r in await journal.unsent_replies(9)] == [address("b")]


async def test_generations_count_up_from_the_highest_known(journal: Journal, open_journal: Open) -> None:
    assert await journal.generation(INSTANCE) == 0
    assert [await journal.bump(INSTANCE) for _ in range(2)] == [1, 2]
    assert await journal.bump(INSTANCE, at_least=10) == 11
    assert await journal.bump(INSTANCE, at_least=3) == 12
    await journal.bump(OTHER)
    await journal.close()
    later = await open_journal()
    assert await later.generations() == {INSTANCE: 12, OTHER: 1}


async def test_concurrent_bumps_give_each_another_generation(journal: Journal) -> None:
    assert sorted(await asyncio.gather(*(journal.bump(INSTANCE) for _ in range(50)))) == list(range(1, 51))


async def test_a_power_change_is_recorded_with_its_event_and_generation(journal: Journal, clock: Clock) -> None:
    assert await journal.last_state(INSTANCE) is None
    assert await journal.record_power(INSTANCE, "running", [event(new="running")], bump=True) == 1
    assert await journal.record_power(INSTANCE, "paused", [event(new="paused")], bump=False) is None
    assert await journal.last_state(INSTANCE) == ("paused", clock.now)
    assert [e.data for e in await journal.unsent_events(9)] == [
        {"new": "running", "generation": 1},
        {"new": "paused", "generation": 1},
    ]


async def test_a_forgotten_instance_keeps_its_generation(journal: Journal, clock: Clock) -> None:
    await journal.record_power(INSTANCE, "running", [], bump=True)
    await journal.record_power(OTHER, "shutdown", [], bump=True)
    assert await journal.record_power(INSTANCE, None, [event()], bump=True) == 2
    assert await journal.last_states() == {OTHER: ("shutdown", clock.now)}
    assert await journal.generation(INSTANCE) == 2


async def test_a_power_change_whose_event_cannot_be_kept_is_not_recorded(journal: Journal) -> None:
    with pytest.raises(PydanticSerializationError):
        await journal.record_power(INSTANCE, "running", [event(password=Secret("x"))], bump=True)
    assert await journal.last_state(INSTANCE) is None
    assert await journal.generation(INSTANCE) == 0
