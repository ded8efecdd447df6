"""File work off the event loop.

Everything in `storage` that may wait for a disk goes through here. A thread can't be stopped, so there are two
ways:

    in_thread   for what writes: a cancelled caller is kept until its thread has ended and only then told, so
                that nobody cleans up behind a thread that still writes
    look        for what only reads at a place that a caller named, which may be on a network file system that
                hangs: given up in time, its thread is left behind, and the agent can stop without it
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from agent.deadline import remaining
from agent.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")

LOOK_S = 10.0
"""Seconds that a look may take."""
MOST_LOOKS = 64
"""Looks under way at once; when so many hang, there is no use in one more."""

_looking: set[threading.Thread] = set()


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


async def look(fn: Callable[[], R], what: str, seconds: float = LOOK_S) -> R:
    """`fn()` in a thread of its own; `what` names it in errors. Raises what `fn` raises; Unavailable after
    `seconds`, cut to what the deadline in force leaves, or when too many hang."""
    if len(_looking) >= MOST_LOOKS:
        raise Unavailable(f"{what}: {len(_looking)} looks at this host's files hang already")
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[R] = loop.create_future()
    thread = threading.Thread(target=_see, args=(fn, loop, seen), name="look", daemon=True)
    _looking.add(thread)
    thread.start()
    try:
        await asyncio.wait({seen}, timeout=remaining(seconds))
        if not seen.done():
            raise Unavailable(f"{what}: its disk doesn't answer")
        return seen.result()
    finally:
        seen.cancel()  # what comes later is for nobody


def _see(fn: Callable[[], R], loop: asyncio.AbstractEventLoop, seen: asyncio.Future[R]) -> None:
    try:
        value = fn()
    except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
        _tell(loop, seen, lambda failure=error: seen.set_exception(failure))  # type: ignore[misc]
    else:
        _tell(loop, seen, lambda: seen.set_result(value))
    finally:
        _looking.discard(threading.current_thread())


def _tell(loop: asyncio.AbstractEventLoop, seen: asyncio.Future[R], say: Callable[[], None]) -> None:
    """Unless nobody waits any more."""

    def told() -> None:
        if not seen.done():
            say()

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(told)
