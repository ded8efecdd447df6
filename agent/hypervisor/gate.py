"""Keeps an instance to itself while a call on it, given up at its deadline, hasn't returned.

    free ──call given up while it ran──> gated ──it returns after all──> free

What such a call does is unknown until then: a start that is undone meanwhile could start the guest after its
disks are gone. `libvirt_domains` lets every change through here; reads aren't gated.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from agent.errors import TimedOut, Unavailable
from agent.hypervisor.libvirt_api import Connection

T = TypeVar("T")
Work = Callable[[Connection], T]


class _Watched:
    """A function for a worker that tells whether it is inside."""

    def __init__(self) -> None:
        self._began, self._over = threading.Event(), threading.Event()

    @property
    def inside(self) -> bool:
        return self._began.is_set() and not self._over.is_set()

    def run(self, work: Work[T], connection: Connection) -> T:
        self._began.set()
        try:
            return work(connection)
        finally:
            self._over.set()


class Gate:
    """One for the driver; used on the loop."""

    def __init__(self) -> None:
        self._given_up: dict[UUID, _Watched] = {}

    async def pass_through(self, uuid: UUID, work: Work[T], call: Callable[[Work[T]], Awaitable[T]]) -> T:
        """What `call` makes of `work`. Raises Unavailable while an earlier call on the instance is inside."""
        earlier = self._given_up.pop(uuid, None)
        if earlier is not None and earlier.inside:
            self._given_up[uuid] = earlier
            raise Unavailable(
                f"a call on instance {uuid} was given up and hasn't returned yet: what it does isn't known before"
            )
        watched = _Watched()
        try:
            return await call(lambda connection: watched.run(work, connection))
        except (TimedOut, asyncio.CancelledError):
            if watched.inside:
                self._given_up[uuid] = watched
            raise
