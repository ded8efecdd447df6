from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from agent import deadline
from agent.errors import Unavailable
from agent.hypervisor.storage.blocking import in_thread, look


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
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_thread(go_on.wait)


async def test_what_is_seen_or_goes_wrong_is_the_outcome_of_a_look() -> None:
    assert await look(lambda: 1, "looking") == 1
    with pytest.raises(ZeroDivisionError):
        await look(lambda: 1 / 0, "looking")


async def test_a_look_that_hangs_is_given_up_and_others_go_on(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def hang() -> None:
        os.close(os.open(pipe, os.O_RDONLY))  # until somebody writes

    with pytest.raises(Unavailable, match="looking: its disk doesn't answer"):
        await look(hang, "looking", seconds=0.05)
    with deadline.within(0.05), pytest.raises(Unavailable):
        await look(hang, "looking")
    assert await look(lambda: 1, "looking") == 1
    os.close(os.open(pipe, os.O_WRONLY))


async def test_the_sixty_fifth_look_that_would_hang_is_not_begun() -> None:
    go_on = threading.Event()
    hanging = [asyncio.create_task(look(go_on.wait, "looking")) for _ in range(65)]
    await asyncio.sleep(0)
    assert hanging[-1].done()
    with pytest.raises(Unavailable, match="64 looks at this host's files hang already"):
        await hanging[-1]
    go_on.set()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert await look(lambda: 1, "looking") == 1


async def test_a_cancelled_look_is_left_at_once(tmp_path: Path) -> None:
    go_on = threading.Event()
    caller = asyncio.create_task(look(go_on.wait, "looking"))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
