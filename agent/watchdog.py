"""Looks after the agent itself: tells systemd how it is, mends the way to the broker, and lets go when it can't.

    broker away, blocked, or it says no        wait, and feed systemd: a dead broker restarts no agent
    connected, and deaf                        connect anew, and feed
    neither mended for long, though a fresh
    connection of no other use works           don't feed: the fault is in this process
    a part of the agent stuck                  don't feed
    the event loop stuck                       this doesn't run either: not fed

`judge` decides, and knows no clock and no broker; `Watchdog` looks, remembers and acts. What isn't fed is ended
and started again by systemd after WatchdogSec; guests and the journal don't mind.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from agent.health import Health
from agent.notify import notify
from agent.pulse import Pulses
from agent.rpc.edge import EdgeState

log = structlog.get_logger(__name__)

TURN_S = 1.0
"""Seconds between two looks, at most."""
LATE_S = 5.0
"""Seconds by which a look comes late when the process, or its loop, stood still; that is systemd's to judge."""


class Act(enum.Enum):
    NOTHING = "nothing"
    REBUILD = "rebuild"  # the connection that is deaf
    TRY = "try"  # whether a fresh connection works


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. `rebuild`: between two attempts to mend; `ill`: without the broker until it is asked whether it
    is us; `hopeless`: until it is us; `works`: as long a fresh connection must have worked all that time."""

    rebuild: float
    ill: float
    hopeless: float
    works: float

    @classmethod
    def of(cls, check_interval_s: float) -> Patience:
        """Deafness is noticed after three intervals. What is long must be long: a broker that comes back may
        take a minute until all of its queues can be used, and no agent is to be restarted for that."""
        step = 3 * check_interval_s
        return cls(rebuild=30 + step, ill=step, hopeless=180 + 2 * step, works=120 + 2 * step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a verdict is made of; `excused` and `deaf` as `EdgeState` has them. Seconds: `ill_s` since the way
    through the broker last worked, None while it does; `rebuilt_s` since the last attempt to mend it; `works_s`
    since a fresh connection was first found to work, None when the last attempt failed; `tried_s` since the last
    attempt."""

    stuck: tuple[str, ...] = ()
    excused: bool = False
    deaf: bool = False
    ill_s: float | None = None
    rebuilt_s: float | None = None
    works_s: float | None = None
    tried_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` it isn't fed."""

    feed: bool
    act: Act = Act.NOTHING
    why: str | None = None


def judge(seen: Seen, patience: Patience) -> Verdict:
    """Pure."""
    if seen.stuck:
        return Verdict(False, why=f"stuck: {', '.join(seen.stuck)}")
    if seen.ill_s is None or seen.excused:
        return Verdict(True)
    if seen.ill_s > patience.hopeless and seen.works_s is not None and seen.works_s > patience.works:
        return Verdict(False, why="a fresh connection to the broker works, and the agent's own can't be mended")
    if seen.deaf and _is_due(seen.rebuilt_s, patience.rebuild):
        return Verdict(True, Act.REBUILD)
    if seen.ill_s > patience.ill and _is_due(seen.tried_s, patience.ill):
        return Verdict(True, Act.TRY)
    return Verdict(True)


def _is_due(last: float | None, pause: float) -> bool:
    return last is None or last > pause


class Mending(Protocol):
    """What is looked at and can be done; `rpc.edge` has it."""

    def state(self) -> EdgeState: ...

    def heard_since(self, moment: float) -> bool: ...

    async def rebuild(self) -> None: ...

    async def works_afresh(self) -> bool: ...


@dataclass(slots=True)
class Memory:
    """Monotonic moments: since when it is ill, when something was tried last, since when a fresh connection
    works."""

    ill: float | None = None
    rebuilt: float | None = None
    tried: float | None = None
    works: float | None = None


@dataclass(slots=True)
class Watchdog:
    """One for the agent. `interval_s`: how often systemd is to be told, None when it doesn't ask. `look` makes the
    health whose status line is told, `tell` tells. A look later than `late_s` is no part's fault."""

    edge: Mending
    pulses: Pulses
    patience: Patience
    look: Callable[[], Awaitable[Health]]
    interval_s: float | None = None
    tell: Callable[[str], None] = notify
    late_s: float = LATE_S
    verdict: Verdict = field(default_factory=lambda: Verdict(True))
    _memory: Memory = field(default_factory=Memory)
    _acting: asyncio.Task[None] | None = None
    _status: str = ""

    async def run(self) -> None:
        """Until cancelled."""
        pause = min(TURN_S, self.interval_s or TURN_S, self.patience.ill / 3)
        try:
            while True:
                self._turn()
                await self._tell()
                await self._pause(pause)
        finally:
            if self._acting is not None:
                self._acting.cancel()

    async def _pause(self, seconds: float) -> None:
        """A process that was stopped, by a signal or with its host, isn't stuck for that when it goes on."""
        began = time.monotonic()
        await asyncio.sleep(seconds)
        late = time.monotonic() - began - seconds
        if late > self.late_s:
            log.warning("watchdog.stood_still", seconds=round(late, 1))
            self.pulses.pass_over(late)

    def _turn(self) -> None:
        verdict = judge(self._see(time.monotonic()), self.patience)
        if self.verdict.feed and not verdict.feed:
            log.error("watchdog.lets_go", why=verdict.why)
        self.verdict = verdict
        act = {Act.REBUILD: self._rebuild, Act.TRY: self._try}.get(verdict.act)
        if act is not None and (self._acting is None or self._acting.done()):
            # In a task of its own: a broker that hangs mustn't keep systemd from being told.
            self._acting = asyncio.create_task(act(), name=f"watchdog {verdict.act.value}")

    def _see(self, now: float) -> Seen:
        edge, memory = self.edge.state(), self._memory
        if edge.up and not edge.deaf and (memory.ill is None or self.edge.heard_since(memory.ill)):
            memory = self._memory = Memory()
        elif memory.ill is None:
            memory.ill = now

        def ago(moment: float | None) -> float | None:
            return None if moment is None else now - moment

        return Seen(
            stuck=self.pulses.stuck(),
            excused=edge.excused,
            deaf=edge.deaf,
            ill_s=ago(memory.ill),
            rebuilt_s=ago(memory.rebuilt),
            works_s=ago(memory.works),
            tried_s=ago(memory.tried),
        )

    async def _rebuild(self) -> None:
        self._memory.rebuilt = time.monotonic()
        await self.edge.rebuild()

    async def _try(self) -> None:
        memory = self._memory
        memory.tried = time.monotonic()
        if not await self.edge.works_afresh():
            memory.works = None
        elif memory.works is None:
            memory.works = memory.tried

    async def _tell(self) -> None:
        if self.verdict.feed:
            self.tell("WATCHDOG=1")
        try:
            status = (await self.look()).status
        except Exception:  # a bug in what is only shown harms nobody
            log.exception("watchdog.no_status")
            return
        if status != self._status:
            self._status = status
            self.tell(f"STATUS={status}")
