"""Calls that were given up, and when none of them can take effect any more. One `Doubts` for a driver.

Every call that changes a guest is a `Change` of its instance. A caller gives up at his deadline, the call
doesn't: whoever makes the instance's next change asks `settle` first, and nobody undoes or destroys what is
about to come into being.

    WAITING ──begin──> RUNNING ──end, answered──> OVER
       │                  │  \\──end, connection broke──> OVER, the instance is suspect
       │ leave            │ leave
       v                  v
     OVER              RUNNING, nobody waits: the instance isn't settled until it ends

A suspect instance is one of which a call's answer was lost, with its connection or with the agent's last run:
the hypervisor may have the request in its queue. It is settled when two looks on another connection, a quiet
time apart, see the same, and the second doesn't see the hypervisor at work on it. What was sent before is read
before: by the first look's answer the hypervisor has at least begun what was in its queue; a call that hangs
there, in a guest that doesn't answer, shows as work. The looks begin with the suspicion, not with the first who
asks: after a restart of the agent all suspects share one quiet time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from agent.errors import AgentError, Unavailable
from agent.telemetry import share

R = TypeVar("R")
T = TypeVar("T")

QUIET_S = 1.0
BOUND_S = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """`quiet_s`: seconds between two looks at a suspect instance. `bound_s`: seconds after which it is said that
    an instance doesn't settle."""

    quiet_s: float = QUIET_S
    bound_s: float = BOUND_S


PATIENT = Patience()


@dataclass(frozen=True, slots=True)
class AtWork:
    """What a look shows while the hypervisor is at work on the instance, be it for us or for somebody else."""

    seen: object


class Phase(enum.Enum):
    WAITING = enum.auto()
    RUNNING = enum.auto()
    OVER = enum.auto()


class Change:
    """One call. `begin` and `end` may come from any thread, once each; `told` is called on the loop when a call
    ends that nobody waits for, or whose answer is lost."""

    def __init__(self, uuid: UUID, told: Callable[[Change, bool], None], *, beside: bool = False) -> None:
        self.uuid = uuid
        self.beside = beside
        self.left_at: float | None = None
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._phase = Phase.WAITING
        self._lock = threading.Lock()

    def begin(self) -> bool:
        """False when the caller has left: then nothing may be done."""
        with self._lock:
            if self._phase is Phase.WAITING:
                self._phase = Phase.RUNNING
            return self._phase is Phase.RUNNING

    def end(self, answered: bool = True) -> None:
        with self._lock:
            self._phase = Phase.OVER
            left = self.left_at is not None
        if left or not answered:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._told, self, answered)

    def leave(self) -> bool:
        """The caller goes. True when the call is over, or never begins."""
        with self._lock:
            if self._phase is Phase.RUNNING:
                self.left_at = time.monotonic()
                return False
            self._phase = Phase.OVER
            return True

    def watched(self, fn: Callable[[R], T]) -> Callable[[R], T]:
        """`fn` for a worker's thread; an Unavailable with `details.outcome` "unknown" is an answer lost."""

        def run(resource: R) -> T:
            if not self.begin():
                raise Unavailable(f"a call on instance {self.uuid} was given up before it was begun")
            answered = True
            try:
                return fn(resource)
            except Unavailable as error:
                answered = error.details.get("outcome") != "unknown"
                raise
            finally:
                self.end(answered)

        return run


class Doubts:
    """`look` gives something that is equal when nothing changed, as AtWork while something still may; it may raise
    AgentError."""

    def __init__(self, look: Callable[[UUID], Awaitable[object]], patience: Patience = PATIENT) -> None:
        self._look = look
        self._patience = patience
        self._changes: dict[UUID, set[Change]] = {}
        self._suspects: dict[UUID, asyncio.Task[AgentError | None]] = {}
        self._at_work: set[UUID] = set()
        self._ended = asyncio.Event()

    def under_way(self, uuid: UUID) -> bool:
        """Whether a call on this instance hasn't returned, be it waited for or given up; or one may not have, of
        which this driver knows nothing: at the last look the hypervisor was at work on it."""
        return uuid in self._changes or uuid in self._at_work

    @contextmanager
    def change(self, uuid: UUID, *, beside: bool = False) -> Iterator[Change]:
        """Around a call on an instance, for as long as somebody waits for it. Raises Unavailable while an earlier
        one, given up, hasn't returned: nothing is done under its feet, whoever forgot to ask `settle`. `beside`:
        it is there to make that one return."""
        if not beside and any(earlier.left_at is not None for earlier in self._changes.get(uuid, ())):
            raise Unavailable(
                f"a call on instance {uuid} was given up and hasn't returned yet: what it does isn't known before"
            )
        change = Change(uuid, self._told, beside=beside)
        self._changes.setdefault(uuid, set()).add(change)
        try:
            yield change
        finally:
            if change.leave():
                self._forget(change)

    def suspect(self, uuid: UUID) -> None:
        """A call on this instance may be under way of which this driver knows nothing. What an earlier look has
        seen doesn't count any more."""
        if (before := self._suspects.get(uuid)) is not None:
            before.cancel()
        # A context of its own: it is no part of the work, nor bound by the deadline, of who raised the suspicion.
        self._suspects[uuid] = asyncio.create_task(self._quiet(uuid), context=contextvars.Context())

    async def settle(self, uuid: UUID) -> None:
        """Returns at once when nothing is in doubt. Raises Unavailable when a call still hangs BOUND_S after it
        was given up, or the instance can't be looked at or doesn't come to rest."""
        while uuid in self._changes or uuid in self._suspects:
            if uuid in self._changes:
                await self._all_over(uuid)
            else:
                await self._at_rest(uuid)

    async def _all_over(self, uuid: UUID) -> None:
        while changes := self._changes.get(uuid):
            now = time.monotonic()
            # What was made to break another off gives that one no more time.
            counted = [change for change in changes if not change.beside] or changes
            left = max(change.left_at or now for change in counted) + self._patience.bound_s - now
            if left <= 0:
                raise _hangs(uuid, "was given up")
            self._ended.clear()
            with share("wait"), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._ended.wait()

    async def _at_rest(self, uuid: UUID) -> None:
        if self._suspects[uuid].done() and self._suspects[uuid].result() is not None:
            self.suspect(uuid)  # an earlier failure says nothing of now
        looking = self._suspects[uuid]
        with share("wait"):
            await asyncio.wait({looking})  # not cancelled with who waits: others may wait for it too
        if self._suspects.get(uuid) is not looking:
            return  # another saw it settled, or there is a newer suspicion
        if (failure := looking.result()) is not None:
            raise failure
        del self._suspects[uuid]

    async def _quiet(self, uuid: UUID) -> AgentError | None:
        """None once it rests. Its error is for whoever asks, and maybe nobody does."""
        ends = time.monotonic() + self._patience.bound_s
        try:
            seen = await self._seen(uuid)
            while time.monotonic() < ends:
                await asyncio.sleep(self._patience.quiet_s)
                before, seen = seen, await self._seen(uuid)
                if seen == before and not isinstance(seen, AtWork):
                    return None
        except Unavailable as failure:
            return failure
        if isinstance(seen, AtWork):
            return _hangs(uuid, "nobody here waits for")
        return Unavailable(f"instance {uuid} goes on changing, and nobody here changes it")

    async def _seen(self, uuid: UUID) -> object:
        try:
            seen = await self._look(uuid)
        except AgentError as error:
            if uuid in self._changes:  # it is being broken off: what can't be seen meanwhile is unlike all else
                return object()
            message = f"a call on instance {uuid} may yet take effect, and it can't be looked at: {error.message}"
            raise Unavailable(message) from error
        if isinstance(seen, AtWork):
            self._at_work.add(uuid)
        else:
            self._at_work.discard(uuid)
        return seen

    def _told(self, change: Change, answered: bool) -> None:
        if not answered:
            self.suspect(change.uuid)
        self._forget(change)

    def _forget(self, change: Change) -> None:
        changes = self._changes.get(change.uuid, set())
        changes.discard(change)
        if not changes:
            self._changes.pop(change.uuid, None)
        self._ended.set()


def _hangs(uuid: UUID, that: str) -> Unavailable:
    return Unavailable(
        f"a call on instance {uuid} that {that} hangs still and may yet take effect; "
        "it ends at the latest when libvirtd is restarted"
    )
