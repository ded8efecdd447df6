"""Work that is tried until it is done, as what it needs may be away for a while.

The first try is made as if there were no others: nearly all need no second one, and the machinery of retries costs
more than many a piece of work. The second comes at once, the further ones after pauses that grow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import stamina

T = TypeVar("T")


async def until_done(
    work: Callable[[], Awaitable[T]], *, may_pass: Callable[[Exception], bool], jitter_s: float = 1.0
) -> T:
    """What `work` returns, when it does. Raises what it raises and `may_pass` says no to."""
    try:
        return await work()
    except Exception as failure:
        if not may_pass(failure):
            raise
    async for attempt in stamina.retry_context(on=may_pass, attempts=None, timeout=None, wait_jitter=jitter_s):
        with attempt:
            return await work()
    raise AssertionError("stamina either returns or raises")
