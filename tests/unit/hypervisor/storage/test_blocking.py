from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from agent import deadline
from agent.errors import Unavailable
from agent.hypervisor.storage.blocking import MOST_ANYWHERE, MOST_LOOKS, in_thread, look
from agent.hypervisor.storage.mounts import Mounts


async def test_what_the_thread_returns_or_raises_is_the_outcome() -> None:
    assert await in_thread(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_is_told_only_when_his_thread_has_ended(fails: bool) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait()
        ended.set()
        if fails:
            raise OSError

    caller = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    for _ in range(2):
        caller.cancel()
        await asyncio.wait({caller}, timeout=0.05)
        assert not caller.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


async def test_a_deadline_that_passes_meanwhile_is_a_timeout() -> None:
    go_on = threading.Event()

    async def end_after(limit: asyncio.Timeout) -> None:
        while not limit.expired():
            await asyncio.sleep(0.001)
        go_on.set()

    async def hurried() -> None:
        async with asyncio.timeout(0.01) as limit:
            ending = asyncio.create_task(end_after(limit))
            try:
                await in_thread(go_on.wait)
            finally:
                await ending

    with pytest.raises(TimeoutError):
        await hurried()


async def test_what_is_seen_or_goes_wrong_is_the_outcome_of_a_look() -> None:
    assert await look(lambda: 1, "looking") == 1
    with pytest.raises(ZeroDivisionError):
        await look(lambda: 1 / 0, "looking")


async def test_a_look_that_hangs_is_given_up_and_others_go_on(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    ended = threading.Semaphore(0)

    def hang() -> None:
        os.close(os.open(pipe, os.O_RDONLY))  # until somebody writes
        ended.release()

    with pytest.raises(Unavailable, match="looking: its disk doesn't answer"):
        await look(hang, "looking", seconds=0.05)
    with deadline.within(0.05), pytest.raises(Unavailable):
        await look(hang, "looking")
    assert await look(lambda: 1, "looking") == 1
    end = os.open(pipe, os.O_RDWR)  # held until both have come so far
    for _ in range(2):
        assert await asyncio.to_thread(ended.acquire, timeout=60)
    os.close(end)


async def test_a_cancelled_look_is_left_at_once(tmp_path: Path) -> None:
    go_on = threading.Event()
    caller = asyncio.create_task(look(go_on.wait, "looking"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()


HERE, THERE = Path("/proc/here"), Path("/dev/there")


@asynccontextmanager
async def hanging(number: int, *at: Path) -> AsyncIterator[None]:
    """Inside, so many looks hang."""
    go_on = threading.Event()
    looks = [asyncio.create_task(look(go_on.wait, "looking", *at)) for _ in range(number)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        go_on.set()
        assert all(await asyncio.gather(*looks))


async def test_a_file_system_on_which_too_many_looks_hang_is_looked_at_no_more_and_others_are() -> None:
    assert Mounts.read().file_system(HERE) != Mounts.read().file_system(THERE)
    async with hanging(MOST_LOOKS - 1, HERE):
        assert await look(lambda: 1, "looking", HERE) == 1
        async with hanging(1, HERE):
            with pytest.raises(Unavailable, match=f"looking: {MOST_LOOKS} looks at its file system hang"):
                await look(lambda: 1, "looking", HERE)
            with pytest.raises(Unavailable):
                await look(lambda: 1, "looking", THERE, HERE)
            assert await look(lambda: 1, "looking", THERE) == 1
            assert await look(lambda: 1, "looking") == 1
    assert await look(lambda: 1, "looking", HERE) == 1


async def test_the_sixty_fifth_look_that_names_no_place_is_not_begun_and_one_that_does_is() -> None:
    async with hanging(64):
        with pytest.raises(Unavailable, match="64 looks"):
            await look(lambda: 1, "looking")
        assert await look(lambda: 1, "looking", HERE) == 1


async def test_a_look_that_was_given_up_counts_until_it_ends() -> None:
    go_on = threading.Event()
    try:
        for _ in range(MOST_LOOKS):
            with pytest.raises(Unavailable, match="doesn't answer"):
                await look(go_on.wait, "looking", HERE, seconds=0)
        with pytest.raises(Unavailable, match="hang already"):
            await look(lambda: 1, "looking", HERE)
    finally:
        go_on.set()
    async with asyncio.timeout(60):
        while any(thread.name == "look" for thread in threading.enumerate()):
            await asyncio.sleep(0.001)
    assert await look(lambda: 1, "looking", HERE) == 1


async def test_over_all_file_systems_there_are_never_more_threads_than_a_bound() -> None:
    full = ((HERE,), (THERE,), (Path("/sys/here"),), ())
    assert len(full) * MOST_LOOKS == MOST_ANYWHERE
    async with AsyncExitStack() as stack:
        for places in full:
            await stack.enter_async_context(hanging(MOST_LOOKS, *places))
        with pytest.raises(Unavailable, match=f"{MOST_ANYWHERE} looks at this host's files hang"):
            await look(lambda: 1, "looking", Path("/dev/pts/elsewhere"))
