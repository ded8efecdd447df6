"""Runs work one after another for each key, and side by side for different keys.

    submit(a, 1)   a: 1 -> 3
    submit(b, 2)   b: 2
    submit(a, 3)

Commands on one instance are journaled in the order they came; those on others needn't wait for them, so that
the journal can write many at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class InOrder:
    """Tasks belong to it, not to whoever submits: a dying channel cancels nothing here."""

    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Task[None]] = {}

    def submit(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Begin `work` when everything submitted before under `key` has ended, however it did."""
        task = asyncio.create_task(self._after(self._last.get(key), work))
        self._last[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))
        return task

    async def _after(self, previous: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]) -> None:
        if previous is not None:
            await asyncio.wait({previous})
        await work()

    def _forget(self, key: Hashable, done: asyncio.Task[None]) -> None:
        if self._last.get(key) is done:
            del self._last[key]
