"""A call that takes longer than its lane's calls should: waited for as before, and in nobody's way."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from agent.errors import TimedOut, Unavailable
from agent.hypervisor.libvirt.threads import Threads
from tests.unit.hypervisor.libvirt.lines import LONG, SHORT, Hang, Line, Lines


def made(lines: Lines, *, size: int = 1, max_overdue: int = 8, patience: float = SHORT) -> Threads[Line]:
    return Threads(lines, {"long": size}, patience={"long": patience}, max_overdue=max_overdue)


class Hanging:
    """A call under way that hangs."""

    def __init__(self, threads: Threads[Line], timeout: float = LONG) -> None:
        self.hang = Hang()
        self.task = asyncio.ensure_future(threads.call("long", self.hang, what="x", timeout=timeout))

    async def begun(self) -> Hanging:
        await self.hang.until_begun()
        assert self.hang.began.is_set()
        return self

    async def end(self) -> Line:
        self.hang.go.set()
        return await self.task


async def ask(threads: Threads[Line], timeout: float = LONG) -> Line:
    return await threads.call("long", lambda line: line, what="y", timeout=timeout)


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not told():
            await asyncio.sleep(0.001)


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
async def threads(lines: Lines) -> AsyncIterator[Threads[Line]]:
    threads = made(lines, max_overdue=2)
    yield threads
    lines.open_gate.set()
    assert await threads.close(LONG)
    assert threads.overdue == threads.lost == 0
    assert all(line.closed.is_set() for line in lines.opened)


async def test_what_waits_behind_it_is_begun_and_its_own_caller_gets_his_answer(threads: Threads[Line]) -> None:
    slow = await Hanging(threads).begun()
    fresh = await ask(threads)
    assert threads.overdue == 1
    assert not slow.task.done()
    assert await slow.end() is not fresh
    assert (threads.overdue, threads.lost_ever) == (0, 0)


async def test_with_no_patience_named_a_call_keeps_its_place(lines: Lines) -> None:
    threads = Threads(lines, {"long": 1})
    slow = await Hanging(threads).begun()
    with pytest.raises(Unavailable, match="not begun"):
        await ask(threads, timeout=SHORT * 4)
    await slow.end()
    assert await threads.close(LONG)


async def test_at_the_bound_a_call_keeps_its_place_until_another_returns(threads: Threads[Line]) -> None:
    slow = [await Hanging(threads).begun() for _ in range(3)]
    with pytest.raises(Unavailable, match="not begun"):
        await ask(threads, timeout=SHORT * 4)
    assert threads.overdue == 2
    waiting = asyncio.ensure_future(ask(threads))
    await slow[0].end()
    await waiting
    for one in slow[1:]:
        await one.end()


async def test_past_its_deadline_it_is_lost_like_any_other_and_its_lane_stays_as_large(lines: Lines) -> None:
    threads = made(lines, max_overdue=1)
    slow = await Hanging(threads, timeout=2.0).begun()
    await until(lambda: threads.overdue == 1)
    with pytest.raises(TimedOut, match="unknown"):
        await slow.task
    assert (threads.overdue, threads.lost, threads.lost_ever) == (0, 1, 1)
    other = await Hanging(threads).begun()
    with pytest.raises(Unavailable, match="not begun"):  # lost ones count against the bound
        await ask(threads, timeout=SHORT * 4)
    slow.hang.go.set()
    await ask(threads)
    await other.end()
    assert await threads.close(LONG)
    assert (threads.overdue, threads.lost) == (0, 0)


async def test_a_worker_whose_place_is_taken_when_it_returns_closes_its_connection(
    threads: Threads[Line], lines: Lines
) -> None:
    slow = await Hanging(threads).begun()
    quick = await Hanging(threads).begun()
    left = await slow.end()
    assert await asyncio.to_thread(left.closed.wait, LONG)
    kept = await quick.end()
    assert await ask(threads) is kept
    assert len(lines.opened) == 2


async def test_a_worker_whose_place_is_free_when_it_returns_goes_on_with_its_connection(
    threads: Threads[Line], lines: Lines
) -> None:
    slow = await Hanging(threads).begun()
    await until(lambda: threads.overdue == 1)
    line = await slow.end()
    assert await ask(threads) is line
    assert len(lines.opened) == 1


async def test_a_connection_that_does_not_open_is_not_replaced_by_one_more(
    threads: Threads[Line], lines: Lines
) -> None:
    lines.open_gate.clear()
    waiting = [asyncio.ensure_future(ask(threads)) for _ in range(3)]
    await asyncio.wait(waiting, timeout=SHORT * 4)
    assert threads.overdue == 0
    lines.open_gate.set()
    await asyncio.gather(*waiting)
    assert len(lines.opened) == 1


async def test_closing_waits_for_it_too(lines: Lines) -> None:
    threads = made(lines)
    slow = await Hanging(threads).begun()
    await ask(threads)
    assert not await threads.close(SHORT)
    await slow.end()
    assert await threads.close(LONG)


async def test_however_calls_run_over_no_more_run_at_once_than_size_and_bound(lines: Lines) -> None:
    size, bound, patience = 2, 3, 0.002
    threads = made(lines, size=size, max_overdue=bound, patience=patience)
    lock, running, most = threading.Lock(), 0, 0

    def work(seconds: float, number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(seconds)
        with lock:
            running -= 1
        return number

    def taking(seconds: float, number: int) -> Callable[[Line], int]:
        return lambda line: work(seconds, number)

    dice = random.Random(1)
    calls = [
        threads.call("long", taking(dice.random() * 3 * patience, n), what="x", timeout=LONG) for n in range(300)
    ]
    assert await asyncio.gather(*calls) == list(range(300))
    assert most <= size + bound
    assert threads.overdue == 0
    assert await threads.close(LONG)
