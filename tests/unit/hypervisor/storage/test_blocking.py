from __future__ import annotations

import asyncio
import threading

import pytest

from agent.hypervisor.storage.blocking import in_thread


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
