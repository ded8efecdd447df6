"""File work off the event loop.

Everything in `storage` that may wait for a disk goes through here. A thread can't be stopped, so there are two
ways:

    in_thread   for what writes: a cancelled caller is kept until its thread has ended and only then told, so
                that nobody cleans up behind a thread that still writes
    look        for what only reads at a place that a caller named, which may be on a network file system that
                hangs: given up in time, its thread is left behind, and the agent can stop without it

Looks that hang are bounded for each file system, so that one that hangs keeps nobody from the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from agent.deadline import remaining
from agent.errors import Unavailable
from agent.hypervisor.storage.mounts import Mounts

P = ParamSpec("P")
R = TypeVar("R")

LOOK_S = 10.0
"""Seconds that a look may take."""
MOST_LOOKS = 64
"""Looks at one file system under way at once; when so many hang, there is no use in one more."""
MOST_ANYWHERE = 256
"""Looks under way at once: each is a thread."""

_looking: dict[threading.Thread, tuple[Path, ...]] = {}


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


async def look(fn: Callable[[], R], what: str, *at: Path, seconds: float = LOOK_S) -> R:
    """`fn()` in a thread of its own; `what` names it in errors, `at` the places it looks at. Raises what `fn`
    raises; Unavailable after `seconds`, cut to what the deadline in force leaves, or when too many hang."""
    _must_have_room(what, at)
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[R] = loop.create_future()
    thread = threading.Thread(target=_see, args=(fn, loop, seen), name="look", daemon=True)
    _looking[thread] = at
    thread.start()
    try:
        await asyncio.wait({seen}, timeout=remaining(seconds))
        if not seen.done():
            raise Unavailable(f"{what}: its disk doesn't answer")
        return seen.result()
    finally:
        seen.cancel()  # what comes later is for nobody


def _must_have_room(what: str, at: tuple[Path, ...]) -> None:
    """The mounts are looked up only when so many looks are under way that they could be one file system's."""
    under_way = list(_looking.values())
    if len(under_way) >= MOST_ANYWHERE:
        raise Unavailable(f"{what}: {len(under_way)} looks at this host's files hang already")
    if len(under_way) < MOST_LOOKS:
        return
    mounts = Mounts.read()

    def file_systems(places: tuple[Path, ...]) -> set[str]:
        """Looks that name no place are counted together."""
        return {mounts.file_system(place) for place in places} or {""}

    hanging = Counter(each for places in under_way for each in file_systems(places))
    if (most := max(hanging[each] for each in file_systems(at))) >= MOST_LOOKS:
        raise Unavailable(f"{what}: {most} looks at its file system hang already")


def _see(fn: Callable[[], R], loop: asyncio.AbstractEventLoop, seen: asyncio.Future[R]) -> None:
    say: Callable[[], None]
    try:
        say = partial(seen.set_result, fn())
    except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
        say = partial(seen.set_exception, error)
    del _looking[threading.current_thread()]  # before the caller hears, or his next look may be one too many
    _tell(loop, seen, say)


def _tell(loop: asyncio.AbstractEventLoop, seen: asyncio.Future[R], say: Callable[[], None]) -> None:
    """Unless nobody waits any more."""

    def told() -> None:
        if not seen.done():
            say()

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(told)
