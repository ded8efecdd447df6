"""What a connection does that no broker is needed for."""

from __future__ import annotations

import asyncio
import gc
import warnings

from yarl import URL

from agent.rpc.connection import _Connection, describe
from agent.rpc.tasks import Lost


async def test_one_that_never_came_about_is_forgotten_on_any_thread_without_a_word() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        waiting = [_Connection(URL("amqp://127.0.0.1:1/"))]
        await asyncio.to_thread(waiting.clear)
        gc.collect()
    assert [str(one.message) for one in told] == []


def test_what_a_connection_ended_with_is_told_in_words_and_not_by_a_class_of_python() -> None:
    assert describe(Lost("a queue was deleted")) == "a queue was deleted"
    assert describe(asyncio.CancelledError()).startswith("given up on this side: the broker was silent")
    assert describe(ConnectionError("refused")) == "ConnectionError: refused"
    assert describe(TimeoutError()) == "TimeoutError"
    assert describe(None) == "closed"
