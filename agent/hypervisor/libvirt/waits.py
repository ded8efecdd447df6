"""Waiting for a guest to do something by itself: woken by events, backed by looking again now and then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from agent import deadline, telemetry
from agent.errors import NotFound, TimedOut, Unavailable
from agent.hypervisor.libvirt.lifecycle import Power
from agent.hypervisor.libvirt.news import Ear, News, Word
from agent.spec import PowerState

LOOK_AGAIN_S = 5.0

ReadPower = Callable[[UUID], Awaitable[Power]]


class Waits:
    """`read` is asked for the state of a guest; it may raise NotFound, Unavailable and TimedOut."""

    def __init__(self, read: ReadPower, news: News, look_again_s: float = LOOK_AGAIN_S) -> None:
        self._read = read
        self._news = news
        self._look_again_s = look_again_s

    async def for_state(self, uuid: UUID, states: frozenset[PowerState], timeout: float) -> PowerState | None:
        """The state reached, or None. A state that was heard counts even if it has passed by now."""
        ends = time.monotonic() + deadline.remaining(timeout)
        with self._news.of(uuid) as heard:
            while True:
                if (state := await self._look(uuid)) in states:
                    return state
                if (state := await self._listen(heard, states, ends)) is not None:
                    return state
                if time.monotonic() >= ends:
                    return None

    async def for_reboot(self, uuid: UUID, timeout: float) -> bool:
        """False too when the guest stops instead: then it won't come back by itself."""
        ends = time.monotonic() + deadline.remaining(timeout)
        with self._news.of(uuid) as heard, telemetry.share("wait"):
            while (item := await heard.next(ends - time.monotonic())) is not None:
                if item is Word.REBOOTED:
                    return True
                if isinstance(item, Power) and not item.on:
                    return False
        return False

    async def _look(self, uuid: UUID) -> PowerState | None:
        """None when it can't be seen: that may change, and how long to wait is the caller's choice."""
        try:
            return (await self._read(uuid)).state
        except (NotFound, Unavailable, TimedOut):
            return None

    async def _listen(self, heard: Ear, states: frozenset[PowerState], ends: float) -> PowerState | None:
        """A wanted state that is heard before it is time to look again."""
        until = min(ends, time.monotonic() + self._look_again_s)
        with telemetry.share("wait"):
            while (item := await heard.next(until - time.monotonic())) is not None:
                if isinstance(item, Power) and item.state in states:
                    return item.state
        return None
