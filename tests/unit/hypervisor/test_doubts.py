"""Calls that were given up: whose instance waits, for how long, and for whom nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from agent.errors import Conflict, TimedOut, Unavailable
from agent.hypervisor.doubts import AtWork, Change, Doubts, Patience

QUIET = 0.02
A, B = uuid4(), uuid4()


class Sight:
    """What each look shows, in order; the last one again and again."""

    def __init__(self, *shows: object) -> None:
        self._shows = list(shows)
        self.looks = 0

    async def __call__(self, uuid: UUID) -> object:
        self.looks += 1
        seen = self._shows[min(self.looks, len(self._shows)) - 1]
        if isinstance(seen, Exception):
            raise seen
        return seen


def doubts(sight: Sight | None = None, bound_s: float = 5.0) -> Doubts:
    return Doubts(sight or Sight("same"), Patience(QUIET, bound_s))


def given_up(known: Doubts, uuid: UUID) -> Change:
    """A call that was begun and is waited for no more."""
    with known.change(uuid) as change:
        assert change.begin()
    return change


async def in_thread(known: Doubts, uuid: UUID, fn: Callable[[None], object]) -> object:
    with known.change(uuid) as change:
        return await asyncio.to_thread(change.watched(fn), None)


async def test_where_nothing_was_given_up_nothing_is_waited_for_nor_looked_at() -> None:
    sight = Sight("same")
    known = doubts(sight)
    assert await in_thread(known, A, lambda _: "done") == "done"
    with pytest.raises(Conflict):
        await in_thread(known, A, refuse)
    await known.settle(A)
    assert sight.looks == 0


def refuse(_: None) -> None:
    raise Conflict("not now")


async def test_an_instance_settles_when_the_call_that_was_given_up_comes_back() -> None:
    known = doubts()
    late = given_up(known, A)
    settling = asyncio.create_task(known.settle(A))
    done, _ = await asyncio.wait({settling}, timeout=0.05)
    assert not done
    await asyncio.to_thread(late.end)  # from the worker's thread
    await asyncio.wait_for(settling, 5)


async def test_it_settles_when_the_last_of_several_is_back() -> None:
    known = doubts()
    with known.change(A) as first, known.change(A) as second:
        assert first.begin()
        assert second.begin()
    settling = asyncio.create_task(known.settle(A))
    first.end()
    done, _ = await asyncio.wait({settling}, timeout=0.05)
    assert not done
    second.end()
    await asyncio.wait_for(settling, 5)


async def test_nothing_is_begun_beside_a_call_that_was_given_up_even_unasked() -> None:
    known = doubts()
    late = given_up(known, A)
    with pytest.raises(Unavailable, match="hasn't returned yet"):
        await in_thread(known, A, lambda _: pytest.fail("it was begun"))
    assert await in_thread(known, B, lambda _: "done") == "done"
    late.end()
    await known.settle(A)
    assert await in_thread(known, A, lambda _: "done") == "done"


async def test_other_instances_are_settled_all_the_time() -> None:
    known = doubts()
    given_up(known, A)
    await asyncio.wait_for(known.settle(B), 1)


async def test_what_hangs_past_the_bound_is_said_and_then_said_at_once() -> None:
    known = doubts(bound_s=0.1)
    given_up(known, A)
    with pytest.raises(Unavailable, match="hangs still and may yet take effect"):
        await known.settle(A)
    with pytest.raises(Unavailable):
        known.settle(A).send(None)  # it raises before it waits for anything


async def test_what_is_made_beside_a_call_that_hangs_is_let_through_and_gives_it_no_more_time() -> None:
    known = doubts(bound_s=0.1)
    late = given_up(known, A)
    with known.change(A, beside=True) as breaking:
        assert breaking.begin()
        with pytest.raises(Unavailable, match="hangs still"):
            await asyncio.wait_for(known.settle(A), 5)
        breaking.end()
    late.end()
    await asyncio.sleep(0)
    await known.settle(A)


async def test_past_the_bound_it_still_settles_when_the_call_comes_back() -> None:
    known = doubts(bound_s=0.05)
    late = given_up(known, A)
    with pytest.raises(Unavailable):
        await known.settle(A)
    late.end()
    await asyncio.sleep(0)
    await known.settle(A)


async def test_a_call_whose_caller_left_before_it_was_begun_does_nothing() -> None:
    known = doubts()
    with known.change(A) as change:
        work: Callable[[None], None] = change.watched(lambda _: pytest.fail("it was begun"))
    with pytest.raises(Unavailable, match="given up before it was begun"):
        await asyncio.to_thread(work, None)
    await known.settle(A)


def broken(_: None) -> None:
    raise Unavailable("the connection broke", details={"outcome": "unknown"})


async def test_after_a_lost_answer_the_instance_is_looked_at_until_it_rests() -> None:
    sight = Sight(None, "defined", "running", "running", "never seen")
    known = doubts(sight)
    with pytest.raises(Unavailable):
        await in_thread(known, A, broken)
    await known.settle(A)
    assert sight.looks == 4
    await known.settle(A)
    assert sight.looks == 4


async def test_a_lost_answer_of_a_call_that_was_given_up_makes_its_instance_suspect_too() -> None:
    sight, begun, go = Sight("same"), threading.Event(), threading.Event()
    known = doubts(sight)

    def hang(_: None) -> None:
        begun.set()
        go.wait(5)
        broken(_)

    with known.change(A) as change:
        worker = asyncio.create_task(asyncio.to_thread(change.watched(hang), None))
        await asyncio.to_thread(begun.wait, 5)
    go.set()
    with pytest.raises(Unavailable):
        await worker
    await known.settle(A)
    assert sight.looks == 2


async def test_a_call_that_was_never_begun_leaves_no_suspicion() -> None:
    sight = Sight("same")
    known = doubts(sight)

    def away(_: None) -> None:
        raise Unavailable("not begun: no connection")

    with pytest.raises(Unavailable):
        await in_thread(known, A, away)
    await known.settle(A)
    assert sight.looks == 0


async def test_what_an_earlier_run_may_have_begun_is_looked_at_twice() -> None:
    sight = Sight("same")
    known = doubts(sight)
    known.suspect(A)
    began = time.monotonic()
    await known.settle(A)
    assert sight.looks == 2
    assert time.monotonic() - began >= QUIET


async def test_what_cant_be_looked_at_isnt_settled() -> None:
    known = doubts(Sight(TimedOut("no answer"), "same"))
    known.suspect(A)
    with pytest.raises(Unavailable, match="no answer"):
        await known.settle(A)
    await known.settle(A)


async def test_all_who_ask_while_it_cant_be_looked_at_are_told() -> None:
    known = doubts(Sight(TimedOut("no answer")))
    known.suspect(A)
    told = await asyncio.gather(known.settle(A), known.settle(A), return_exceptions=True)
    assert [type(each) for each in told] == [Unavailable, Unavailable]


async def test_that_it_couldnt_be_looked_at_before_anybody_asked_is_no_answer_to_who_asks_now() -> None:
    sight = Sight(TimedOut("no answer"), "same")
    known = doubts(sight)
    known.suspect(A)
    await until(lambda: sight.looks == 1)
    await asyncio.sleep(0)
    await known.settle(A)
    assert sight.looks == 3


async def test_all_suspects_share_one_quiet_time_and_it_begins_before_anybody_asks() -> None:
    sight = Sight("same")
    known = Doubts(sight, Patience(quiet_s=0.2))
    many = [uuid4() for _ in range(50)]
    for uuid in many:
        known.suspect(uuid)
    await until(lambda: sight.looks == 2 * len(many))
    began = time.monotonic()
    for uuid in many:
        await known.settle(uuid)
    assert time.monotonic() - began < 0.2 * len(many) / 2
    assert sight.looks == 2 * len(many)


async def test_a_new_suspicion_isnt_settled_by_what_was_seen_before_it() -> None:
    sight = Sight("same")
    known = doubts(sight)
    known.suspect(A)
    await until(lambda: sight.looks == 2)
    known.suspect(A)
    await known.settle(A)
    assert sight.looks == 4


async def test_a_new_suspicion_is_waited_for_by_who_waits_for_the_one_before() -> None:
    sight = Sight("same")
    known = doubts(sight)
    known.suspect(A)
    settling = asyncio.create_task(known.settle(A))
    await until(lambda: sight.looks == 1)
    known.suspect(A)
    await settling
    assert sight.looks == 3


async def test_one_who_leaves_takes_the_looks_from_nobody() -> None:
    known = doubts()
    known.suspect(A)
    first, second = asyncio.create_task(known.settle(A)), asyncio.create_task(known.settle(A))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(second, 5)
    assert first.cancelled()


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not told():
            await asyncio.sleep(0.001)


async def test_an_instance_at_work_isnt_settled_however_alike_the_looks_are() -> None:
    sight = Sight(AtWork("same"), AtWork("same"), AtWork("same"), "same", "same", "never seen")
    known = doubts(sight)
    known.suspect(A)
    await known.settle(A)
    assert sight.looks == 5


async def test_while_a_suspect_is_at_work_a_call_on_it_is_under_way() -> None:
    sight = Sight(AtWork("same"), "same")
    known = Doubts(sight, Patience(quiet_s=0.2))
    assert not known.under_way(A)
    known.suspect(A)
    await until(lambda: known.under_way(A))
    assert not known.under_way(B)
    await known.settle(A)
    assert not known.under_way(A)


async def test_a_suspect_that_cant_be_looked_at_while_it_is_broken_off_is_looked_at_after() -> None:
    sight = Sight(AtWork("same"), TimedOut("no answer"), "same")
    known = doubts(sight)
    known.suspect(A)
    settling = asyncio.create_task(known.settle(A))
    await until(lambda: known.under_way(A))
    with known.change(A, beside=True) as breaking:
        assert breaking.begin()
        await until(lambda: sight.looks == 2)
        breaking.end()
    await asyncio.wait_for(settling, 5)


async def test_work_that_never_ends_is_said_at_the_bound() -> None:
    known = doubts(Sight(AtWork("same")), bound_s=0.1)
    known.suspect(A)
    with pytest.raises(Unavailable, match="nobody here waits for hangs still"):
        await known.settle(A)
    assert known.under_way(A)


async def test_what_never_rests_is_said_at_the_bound() -> None:
    known = doubts(Sight(*range(10_000)), bound_s=0.1)
    known.suspect(A)
    with pytest.raises(Unavailable, match="goes on changing"):
        await known.settle(A)
