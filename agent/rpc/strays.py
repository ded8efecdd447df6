r"""Answers that aren't in the journal and whose reply queue is missing: tried again for a while.

    no such queue -> kept -> there again: all of that queue's go out
                       \-> a minute later, or nobody waits any more: dropped; the queue counts as gone for a minute

A broker that was restarted has lost the reply queues that weren't durable, until their clients are back and
declare them again. A client that died never does: its queue is looked for once for all its answers, and those
that follow are dropped at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome
from agent.rpc.tasks import end

log = structlog.get_logger(__name__)

MOST = 200
"""Answers kept, and queues known to be gone."""


class Post(Protocol):
    def deliver(self, message: Outgoing) -> Coroutine[Any, Any, Outcome]: ...


@dataclass(frozen=True, slots=True)
class _Stray:
    message: Outgoing
    until: float  # monotonic


class Strays:
    """One for the agent. `keep_s`: how long an answer is tried; `again_s`: how often. In seconds."""

    def __init__(self, post: Post, *, keep_s: float = 60.0, again_s: float = 0.5) -> None:
        self._post = post
        self._keep_s = keep_s
        self._again_s = again_s
        self._waiting: dict[str, list[_Stray]] = {}
        self._gone: dict[str, float] = {}
        self._trying: set[asyncio.Task[None]] = set()

    def keep(self, message: Outgoing, seconds: float | None) -> None:
        """One that no queue took. `seconds`: after that nobody waits for it."""
        queue, now = message.routing_key, time.monotonic()
        kept = sum(map(len, self._waiting.values()))
        if kept >= MOST or now - self._gone.get(queue, -self._keep_s) < self._keep_s:
            _drop(queue, 1)
            return
        until = now + (self._keep_s if seconds is None else min(seconds, self._keep_s))
        waiting = self._waiting.setdefault(queue, [])
        waiting.append(_Stray(message, until))
        if len(waiting) == 1:
            task = asyncio.create_task(self._try(queue), name=f"answers to {queue}")
            self._trying.add(task)
            task.add_done_callback(self._trying.discard)

    async def close(self) -> None:
        """Drop them all."""
        await end(*self._trying)

    async def _try(self, queue: str) -> None:
        waiting = self._waiting[queue]
        try:
            while waiting:
                await asyncio.sleep(self._again_s)
                await self._send(queue, waiting)
        finally:
            del self._waiting[queue]

    async def _send(self, queue: str, waiting: list[_Stray]) -> None:
        """From the first on, as long as the queue takes them."""
        late = [stray for stray in waiting if stray.until <= time.monotonic()]
        if late:
            _drop(queue, len(late))
            waiting[:] = [stray for stray in waiting if stray not in late]
            self._forget(queue)
        while waiting and await self._post.deliver(waiting[0].message) is not Outcome.UNROUTABLE:
            del waiting[0]
            self._gone.pop(queue, None)

    def _forget(self, queue: str) -> None:
        """Remember that it is gone; of too many, those that were longest."""
        self._gone[queue] = time.monotonic()
        while len(self._gone) > MOST:
            del self._gone[next(iter(self._gone))]


def _drop(queue: str, number: int) -> None:
    log.warning("reply.dropped", reply_to=queue, outcome=Outcome.UNROUTABLE.value, number=number)
