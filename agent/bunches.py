"""Takes what came while one was busy all at once, so that much costs little more than one.

    items --> | a b c | a d | X | b ...        a, b, c came while the one before was taken

A bunch never holds two items of one key: whoever takes it may do so in any order, or side by side, and what
belongs to one key still happens in the order it came. An item without a key is alone in its bunch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Bunches(Generic[T]):
    """`key` says whose an item is, None: everybody's. At most `most` wait; then their source does."""

    def __init__(self, key: Callable[[T], Hashable | None], most: int = 256) -> None:
        self._key = key
        self._most = most
        self._waiting: deque[T] = deque()
        self._ended = False
        self._came = asyncio.Event()
        self._room = asyncio.Event()

    async def fill(self, items: AsyncIterator[T]) -> None:
        """Until they end; to be run beside the one who takes."""
        async for item in items:
            while len(self._waiting) >= self._most:
                self._room.clear()
                await self._room.wait()
            self._waiting.append(item)
            self._came.set()
        self._ended = True
        self._came.set()

    async def next(self) -> list[T]:
        """Waits for the first item; empty when they have ended."""
        while not self._waiting and not self._ended:
            self._came.clear()
            await self._came.wait()
        bunch = list(self._first())
        self._room.set()
        return bunch

    def _first(self) -> Iterator[T]:
        keys: set[Hashable] = set()
        while self._waiting:
            key = self._key(self._waiting[0])
            if keys and (key is None or key in keys):
                return
            yield self._waiting.popleft()
            if key is None:
                return
            keys.add(key)
