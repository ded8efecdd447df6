"""Sends answers that aren't in the journal: those to reads, and refusals.

    send --> gathered --the loop's next turn--> published together
                ^                                  |-- confirmed, or refused by the broker: settled
                |                                  |-- no such queue: tried beside, see `strays`
                `--- lost, or too slow ------------'   unless nobody waits for it any more

What is ready in one turn of the loop goes out together: many answers cost little more than one. A bunch waits for
nobody, so a slow queue delays only those that were ready with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from agent.rpc.message import Outgoing
from agent.rpc.publisher import Outcome
from agent.rpc.strays import Strays
from agent.rpc.tasks import end

log = structlog.get_logger(__name__)


class Post(Protocol):
    """What of the publisher is used here."""

    def connected(self) -> Coroutine[Any, Any, None]: ...

    def publish(self, messages: Sequence[Outgoing]) -> Coroutine[Any, Any, list[Outcome]]: ...

    def deliver(self, message: Outgoing) -> Coroutine[Any, Any, Outcome]: ...


@dataclass(frozen=True, slots=True)
class _Answer:
    message: Outgoing
    until: float | None  # monotonic
    settled: asyncio.Future[None]


class Answers:
    """One for the agent. `most`: as many as may be on their way until `full`."""

    def __init__(self, post: Post, *, homeless_s: float, most: int = 1024) -> None:
        self._post = post
        self._strays = Strays(post, keep_s=homeless_s)
        self._most = most
        self._unsettled = 0
        self._gathered: list[_Answer] = []
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        return self._unsettled >= self._most

    def send(self, message: Outgoing, seconds: float | None) -> asyncio.Future[None]:
        """Is done when the broker has it, or it is worth no further try. `seconds`: after that nobody waits."""
        loop = asyncio.get_running_loop()
        until = None if seconds is None else time.monotonic() + seconds
        answer = _Answer(message, until, loop.create_future())
        self._unsettled += 1
        self._gathered.append(answer)
        if len(self._gathered) == 1:
            loop.call_soon(self._begin)
        return answer.settled

    async def close(self, timeout: float) -> None:
        """Give those on their way `timeout` seconds, then drop them."""
        if self._gathered:
            self._begin()
        if self._sending:
            await asyncio.wait(self._sending, timeout=timeout)
        await end(*self._sending)
        await self._strays.close()

    def _begin(self) -> None:
        if not self._gathered:
            return
        bunch, self._gathered = self._gathered, []
        task = asyncio.create_task(self._send(bunch), name="answers")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, bunch: list[_Answer]) -> None:
        while bunch:
            await self._post.connected()
            bunch = [answer for answer in bunch if not self._is_late(answer)]
            outcomes = await self._post.publish([answer.message for answer in bunch])
            pairs = zip(bunch, outcomes, strict=True)
            bunch = [answer for answer, outcome in pairs if not self._is_settled(answer, outcome)]

    def _is_late(self, answer: _Answer) -> bool:
        if answer.until is None or answer.until > time.monotonic():
            return False
        log.info("reply.too_late", reply_to=answer.message.routing_key)
        self._settle(answer)
        return True

    def _is_settled(self, answer: _Answer, outcome: Outcome) -> bool:
        if outcome is Outcome.UNKNOWN:
            return False
        if outcome is Outcome.UNROUTABLE:
            left = None if answer.until is None else max(0.0, answer.until - time.monotonic())
            self._strays.keep(answer.message, left)
        elif outcome is Outcome.REFUSED:
            log.warning("reply.dropped", reply_to=answer.message.routing_key, outcome=outcome.value)
        self._settle(answer)
        return True

    def _settle(self, answer: _Answer) -> None:
        self._unsettled -= 1
        if not answer.settled.done():  # who waited for it may have been cancelled
            answer.settled.set_result(None)
