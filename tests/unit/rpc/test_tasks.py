"""Tasks that ignore a cancellation are still somebody's."""

from __future__ import annotations

import asyncio

from agent.rpc.tasks import end


async def test_who_is_cancelled_while_ending_tasks_has_ended_them_all_the_same() -> None:
    cancelled: asyncio.Queue[int] = asyncio.Queue()
    begun = asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        for number in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.put_nowait(number)

    task = asyncio.create_task(stubborn())
    await begun.wait()
    ending = asyncio.create_task(end(task))
    assert await cancelled.get() == 0
    ending.cancel()
    await asyncio.wait({ending}, timeout=15)
    assert ending.cancelled()
    assert task.done()
    assert cancelled.qsize() == 1
