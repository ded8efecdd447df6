"""Tells callers that want it, again and again, that their call is being worked on. Owns all those timers.

    begun --each half of the caller's patience--> a heartbeat, if the broker can take one
      |--its answer goes out, or it was refused--> ended
      |--the caller has given up by its own clock, or its queue is missing for a minute--> ended

A heartbeat is worth something only now: while the broker is away there are none. Which callers wait is in the
journal too, so that they hear of their calls again after a restart of the agent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import structlog

from agent.journal.records import Address
from agent.rpc import wire
from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome
from agent.rpc.tasks import either

log = structlog.get_logger(__name__)

LONGEST_S = 4 * 3600.0
"""Seconds of heartbeats for a caller that doesn't say when it gives up."""


class Post(Protocol):
    """What of the publisher is used here."""

    def can_publish(self) -> bool: ...

    async def publish(self, messages: Sequence[Outgoing]) -> list[Outcome]: ...


@dataclass(slots=True)
class _Call:
    """One that is under way. Times are monotonic seconds; `missing`: since when its queue is."""

    address: Address
    every: float
    again: float
    until: float
    missing: float | None = None


class Heartbeats:
    """One for the agent. `missing_s`: how long a queue may be missing until its caller counts as dead."""

    def __init__(self, post: Post, *, missing_s: float = 60.0) -> None:
        self._post = post
        self._missing_s = missing_s
        self._calls: dict[tuple[str, str | None], _Call] = {}
        self._begun = asyncio.Event()

    def begin(self, address: Address | None, waited_s: float = 0.0) -> None:
        """A call is under way; `waited_s`: for how long already. Nothing happens for a caller that didn't ask."""
        monitor = wire.monitor(address)
        if address is None or monitor is None:
            return
        now = time.monotonic()
        patience = LONGEST_S if monitor.patience_s is None else monitor.patience_s
        # After a restart the caller has waited for longer than is known here: it hears of it at once.
        again = now if waited_s else now + monitor.every_s
        self._calls[_key(address)] = _Call(address, monitor.every_s, again, now + patience - waited_s)
        self._begun.set()

    def end(self, address: Address | None) -> None:
        """Its answer goes out. Repeating is harmless."""
        if address is not None:
            self._calls.pop(_key(address), None)

    def __len__(self) -> int:
        return len(self._calls)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._begun.clear()
            await self._beat(time.monotonic())
            soonest = min((call.again for call in self._calls.values()), default=None)
            await either(self._begun, None if soonest is None else max(0.01, soonest - time.monotonic()))

    async def _beat(self, now: float) -> None:
        for key in [key for key, call in self._calls.items() if self._is_over(call, now)]:
            del self._calls[key]
        due = [call for call in self._calls.values() if call.again <= now]
        away = not self._post.can_publish()
        for call in due:
            # Who waited through an outage hears of it as soon as that is over.
            call.again = now + (min(1.0, call.every) if away else call.every)
        if away or not due:
            return
        outcomes = await self._post.publish([wire.heartbeat(call.address, uuid4().hex) for call in due])
        for call, outcome in zip(due, outcomes, strict=True):
            if outcome is Outcome.CONFIRMED:
                call.missing = None
            elif outcome is not Outcome.UNKNOWN:
                call.missing = call.missing or now

    def _is_over(self, call: _Call, now: float) -> bool:
        if call.missing is not None and now - call.missing >= self._missing_s:
            log.info("heartbeats.ended", reply_to=call.address.reply_to, reason="its queue is missing")
            return True
        return now >= call.until


def _key(address: Address) -> tuple[str, str | None]:
    return address.reply_to, address.correlation_id
