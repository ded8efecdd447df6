"""What a connection does that no broker is needed for."""

from __future__ import annotations

import asyncio
import gc
import warnings

from yarl import URL

from agent.rpc.connection import _Connection


async def test_one_that_never_came_about_is_forgotten_on_any_thread_without_a_word() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        waiting = [_Connection(URL("amqp://127.0.0.1:1/"))]
        await asyncio.to_thread(waiting.clear)
        gc.collect()
    assert [str(one.message) for one in told] == []
