"""File work off the event loop.

Everything in `storage` that may wait for a disk goes through here. A thread can't be stopped, so a
cancelled caller is kept until its thread has ended and only then told: nobody cleans up behind a thread
that still writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """`fn(...)` in a thread, with the caller's context. Raises what `fn` raises."""
    return await settled(asyncio.ensure_future(asyncio.to_thread(fn, *args, **kwargs)))


async def settled(future: asyncio.Future[R]) -> R:
    """The outcome of `future`, waited for even if the caller is cancelled: that is reported afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # seen, so that asyncio doesn't complain of it
    raise cancelled
