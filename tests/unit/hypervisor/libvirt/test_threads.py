"""Rules of the executor, with plain Python in the place of libvirt."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from agent import deadline, telemetry
from agent.errors import TimedOut, Unavailable
from agent.hypervisor.libvirt.threads import Late, Threads
from tests.unit.hypervisor.libvirt.lines import LONG, SHORT, Hang, Line, Lines, once


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
async def late() -> asyncio.Queue[Late]:
    return asyncio.Queue()


@pytest.fixture
async def threads(lines: Lines, late: asyncio.Queue[Late]) -> AsyncIterator[Threads[Line]]:
    made = Threads(lines, {"query": 2, "long": 1}, max_lost=2, on_late=late.put_nowait)
    yield made
    lines.open_gate.set()
    assert await made.close(timeout=LONG)
    assert all(line.closed.is_set() for line in lines.opened)


async def test_a_call_returns_what_the_function_returns(threads: Threads[Line]) -> None:
    assert await threads.call("query", lambda line: 42, what="asking", timeout=LONG) == 42


async def test_a_call_raises_what_the_function_raises(threads: Threads[Line]) -> None:
    def fail(line: Line) -> None:
        raise KeyError("as it was")

    with pytest.raises(KeyError, match="as it was"):
        await threads.call("query", fail, what="asking", timeout=LONG)


async def test_even_stop_iteration_comes_through(threads: Threads[Line]) -> None:
    """A future refuses to carry it. Out of a coroutine Python itself turns it into a RuntimeError."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.call("query", lambda line: next(iter(())), what="asking", timeout=LONG)


async def test_calls_run_in_daemon_threads_off_the_loop(threads: Threads[Line]) -> None:
    thread = await threads.call("query", lambda _: threading.current_thread(), what="x", timeout=LONG)
    assert thread is not threading.main_thread()
    assert thread.daemon


async def test_one_after_the_other_share_a_connection(threads: Threads[Line], lines: Lines) -> None:
    for _ in range(5):
        await threads.call("query", lambda line: None, what="asking", timeout=LONG)
    assert len(lines.opened) == 1


async def test_each_worker_uses_the_connection_it_opened_itself(threads: Threads[Line], lines: Lines) -> None:
    hangs = [Hang(), Hang()]
    calls = [asyncio.ensure_future(threads.call("query", h, what="x", timeout=LONG)) for h in hangs]
    for hang in hangs:
        await hang.until_begun()
        hang.go.set()
    first, second = await asyncio.gather(*calls)
    assert first is not second
    assert first.thread is not second.thread


async def test_a_broken_connection_is_replaced_before_it_is_used(threads: Threads[Line], lines: Lines) -> None:
    first = await threads.call("long", lambda line: line, what="x", timeout=LONG)
    first.usable = False
    second = await threads.call("long", lambda line: line, what="x", timeout=LONG)
    assert second is not first
    assert first.closed.is_set()


async def test_a_refused_connection_is_tried_again_by_the_next_call(threads: Threads[Line], lines: Lines) -> None:
    lines.refuse = Unavailable("no libvirt here")
    with pytest.raises(Unavailable, match="no libvirt here"):
        await threads.call("long", lambda line: line, what="x", timeout=LONG)
    lines.refuse = None
    assert await threads.call("long", lambda line: 1, what="x", timeout=LONG) == 1
    assert threads.lost == 0


async def test_context_variables_reach_the_thread(threads: Threads[Line]) -> None:
    word: contextvars.ContextVar[str] = contextvars.ContextVar("word")
    word.set("carried")
    assert await threads.call("query", lambda line: word.get(), what="x", timeout=LONG) == "carried"


async def test_a_call_past_its_deadline_has_an_unknown_outcome(
    threads: Threads[Line], late: asyncio.Queue[Late]
) -> None:
    hang = Hang()
    with pytest.raises(TimedOut, match=r"starting x .* unknown"):
        await (await once(hang.began, threads.call("long", hang, what="starting x", timeout=SHORT)))
    assert (threads.lost, threads.lost_ever) == (1, 1)
    hang.go.set()
    told = await asyncio.wait_for(late.get(), LONG)
    assert told.what == "starting x"
    assert told.error is None
    assert 0 < told.seconds < LONG


async def test_the_late_error_of_a_lost_call_is_told(threads: Threads[Line], late: asyncio.Queue[Late]) -> None:
    hang = Hang()

    def fail(line: Line) -> None:
        hang(line)
        raise KeyError("too late")

    with pytest.raises(TimedOut):
        await (await once(hang.began, threads.call("long", fail, what="x", timeout=SHORT)))
    hang.go.set()
    assert isinstance((await asyncio.wait_for(late.get(), LONG)).error, KeyError)


async def test_a_hung_call_costs_one_worker_and_its_lane_goes_on(
    threads: Threads[Line], lines: Lines, late: asyncio.Queue[Late]
) -> None:
    hang = Hang()
    with pytest.raises(TimedOut):
        await (await once(hang.began, threads.call("long", hang, what="x", timeout=SHORT)))
    fresh = await threads.call("long", lambda line: line, what="y", timeout=LONG)
    assert fresh is lines.opened[1]
    hang.go.set()
    await asyncio.wait_for(late.get(), LONG)
    assert await asyncio.to_thread(lines.opened[0].closed.wait, LONG)
    assert await threads.call("long", lambda line: line, what="z", timeout=LONG) is fresh


async def test_a_full_lane_does_not_delay_another(threads: Threads[Line]) -> None:
    hang = Hang()
    busy = asyncio.ensure_future(threads.call("long", hang, what="x", timeout=LONG))
    await hang.until_begun()
    assert await threads.call("query", lambda line: 1, what="y", timeout=LONG) == 1
    hang.go.set()
    await busy


async def test_waiting_for_a_worker_counts_and_nothing_is_begun(threads: Threads[Line]) -> None:
    hang, touched = Hang(), threading.Event()
    busy = asyncio.ensure_future(threads.call("long", hang, what="x", timeout=LONG))
    await hang.until_begun()
    with pytest.raises(Unavailable, match="second was not begun"):
        await threads.call("long", lambda line: touched.set(), what="second", timeout=SHORT)
    hang.go.set()
    await busy
    await threads.call("long", lambda line: None, what="third", timeout=LONG)
    assert not touched.is_set()
    assert threads.lost == 0


async def test_a_connection_that_does_not_open_in_time_has_done_nothing(
    threads: Threads[Line], lines: Lines, late: asyncio.Queue[Late]
) -> None:
    touched = threading.Event()
    lines.open_gate.clear()
    call = threads.call("long", lambda line: touched.set(), what="x", timeout=SHORT)
    with pytest.raises(Unavailable, match="no connection"):
        await (await once(lines.opening, call))
    assert threads.lost == 1
    lines.open_gate.set()
    assert await threads.call("long", lambda line: 1, what="y", timeout=LONG) == 1
    while threads.lost:
        await asyncio.sleep(0)
    assert not touched.is_set()
    assert late.empty()


async def test_a_peer_that_lets_nobody_in_costs_two_workers_and_is_open_to_all_when_it_does(
    lines: Lines,
) -> None:
    threads = Threads(lines, {"query": 4, "long": 4})
    lines.open_gate.clear()
    for _ in range(5):
        for lane in ("query", "long"):
            with pytest.raises(Unavailable, match="not begun"):
                await threads.call(lane, lambda line: 1, what="x", timeout=SHORT)
    assert threads.lost == 2
    waiting = [
        asyncio.ensure_future(threads.call(lane, lambda line: 1, what="x", timeout=LONG))
        for lane in ("query", "long", "query", "long")
    ]
    await asyncio.sleep(0)
    lines.open_gate.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1, 1]
    assert await threads.close(LONG)


async def test_the_deadline_in_force_cuts_the_timeout(threads: Threads[Line]) -> None:
    hang = Hang()
    began = time.monotonic()
    with deadline.within(SHORT), pytest.raises(TimedOut):
        await (await once(hang.began, threads.call("long", hang, what="x", timeout=LONG)))
    assert time.monotonic() - began < LONG / 2
    hang.go.set()


async def test_without_time_left_nothing_is_begun(threads: Threads[Line]) -> None:
    with deadline.within(0), pytest.raises(Unavailable, match="not begun"):
        await threads.call("long", lambda line: 1, what="x", timeout=LONG)
    assert threads.lost == 0


async def test_a_cancelled_caller_waits_for_a_call_that_has_begun(threads: Threads[Line]) -> None:
    hang = Hang()
    task = asyncio.ensure_future(threads.call("long", hang, what="x", timeout=LONG))
    await hang.until_begun()
    task.cancel()
    await asyncio.wait((task,), timeout=SHORT)
    assert not task.done()
    hang.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threads.lost == 0


async def test_a_cancelled_caller_waits_no_longer_than_the_deadline(threads: Threads[Line]) -> None:
    hang = Hang()
    task = await once(hang.began, threads.call("long", hang, what="x", timeout=SHORT * 4))
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, TimedOut)
    assert threads.lost == 1
    hang.go.set()


async def test_a_caller_cancelled_in_the_queue_leaves_at_once(threads: Threads[Line]) -> None:
    hang, touched = Hang(), threading.Event()
    busy = asyncio.ensure_future(threads.call("long", hang, what="x", timeout=LONG))
    await hang.until_begun()
    task = asyncio.ensure_future(threads.call("long", lambda line: touched.set(), what="y", timeout=LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hang.go.set()
    await busy
    await threads.call("long", lambda line: None, what="z", timeout=LONG)
    assert not touched.is_set()


async def test_what_a_cancelled_call_raised_is_the_cause(threads: Threads[Line]) -> None:
    hang = Hang()

    def fail(line: Line) -> None:
        hang(line)
        raise KeyError("seen")

    task = asyncio.ensure_future(threads.call("long", fail, what="x", timeout=LONG))
    await hang.until_begun()
    task.cancel()
    hang.go.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert isinstance(caught.value.__cause__, KeyError)


async def test_past_the_bound_no_fresh_worker_hangs_and_the_service_is_told(lines: Lines) -> None:
    exhausted = asyncio.Event()
    threads = Threads(lines, {"long": 1}, max_lost=2, on_exhausted=exhausted.set)
    hangs = [Hang(), Hang()]
    for hang in hangs:
        assert not exhausted.is_set()
        with pytest.raises(TimedOut):
            await (await once(hang.began, threads.call("long", hang, what="x", timeout=SHORT)))
    assert exhausted.is_set()
    with pytest.raises(Unavailable, match="not begun"):
        await threads.call("long", lambda line: 1, what="y", timeout=SHORT)
    assert threads.lost == 2
    for hang in hangs:
        hang.go.set()
    assert await threads.call("long", lambda line: 1, what="z", timeout=LONG) == 1
    assert await threads.close(LONG)


async def test_a_job_that_waits_gets_the_worker_that_a_returning_one_makes_possible(lines: Lines) -> None:
    threads = Threads(lines, {"long": 1}, max_lost=1)
    hang = Hang()
    with pytest.raises(TimedOut):
        await (await once(hang.began, threads.call("long", hang, what="x", timeout=SHORT)))
    waiting = asyncio.ensure_future(threads.call("long", lambda line: 1, what="y", timeout=LONG))
    await asyncio.sleep(0)
    hang.go.set()
    assert await waiting == 1
    assert await threads.close(LONG)


async def test_closing_withdraws_what_waits_and_says_what_still_runs(lines: Lines) -> None:
    threads = Threads(lines, {"long": 1})
    hang = Hang()
    running = asyncio.ensure_future(threads.call("long", hang, what="x", timeout=LONG))
    await hang.until_begun()
    waiting = asyncio.ensure_future(threads.call("long", lambda line: 1, what="y", timeout=LONG))
    await asyncio.sleep(0)
    assert not await threads.close(timeout=SHORT)
    with pytest.raises(Unavailable, match="stopping"):
        await waiting
    with pytest.raises(Unavailable, match="stopping"):
        await threads.call("long", lambda line: 1, what="z", timeout=LONG)
    hang.go.set()
    await running
    assert await threads.close(timeout=LONG)


async def test_the_time_spent_is_told_apart(threads: Threads[Line]) -> None:
    hang = Hang()
    busy = asyncio.ensure_future(threads.call("long", hang, what="x", timeout=LONG))
    await hang.until_begun()
    with telemetry.measured() as shares:
        waiting = asyncio.ensure_future(
            threads.call("long", lambda line: time.sleep(SHORT), what="y", timeout=LONG)
        )
        await asyncio.wait((waiting,), timeout=SHORT)
        hang.go.set()
        await waiting
    await busy
    assert shares["wait"] >= SHORT * 0.9
    assert SHORT <= shares["libvirt"] < LONG / 2


async def test_many_callers_all_get_their_own_answer(lines: Lines) -> None:
    threads = Threads(lines, {"query": 4})

    def give(n: int) -> Callable[[Line], int]:
        return lambda line: n

    calls = [threads.call("query", give(n), what="x", timeout=LONG) for n in range(500)]
    assert await asyncio.gather(*calls) == list(range(500))
    assert len(lines.opened) <= 4
    assert await threads.close(LONG)
