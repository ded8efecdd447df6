"""Blocking calls off the loop, each with a deadline and a lane of its own.

`connection` hands every libvirt call in here. A thread can't be stopped, so what a call that hangs may cost
is fixed beforehand: one thread and the one connection that thread owns. Nobody else waits for it: its place
is taken by a fresh thread with a connection of its own, and other lanes never notice.

    QUEUED ──taken──> OPENING ──opened──> RUNNING ──lane's patience──> OVERDUE ──returned──> DONE
       │                 │                 │   │                          │
       │                 │                 │   └─────────returned─────────│────────────────> DONE
    deadline          deadline             └────────deadline──────────────┤
       v                 v                                                v
    WITHDRAWN         WITHDRAWN                                         LOST ──returned──> told to `on_late`
    Unavailable       Unavailable                                      TimedOut

A call becomes OVERDUE when it runs for longer than a healthy one of its lane takes. Its caller waits on, but its
worker counts against the lane's size no more, so that calls behind it needn't wait for its deadline. When it
returns, its worker joins the lane again if a place is free, and ends if not. Calls that open aren't overdue: the
next one would open no faster.

Only RUNNING and OVERDUE touch the outside, so only LOST has an unknown outcome. A worker whose call was given up
while OPENING, RUNNING or OVERDUE is lost: counted, and never given work again. When it comes back after all, it
closes its own connection and ends. Nobody closes it from elsewhere: libvirt may still be using it.

Not a ThreadPoolExecutor: the interpreter joins its threads at exit, so one hung call would keep a stopping
agent alive for ever. These are daemon threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from agent import deadline, telemetry
from agent.errors import TimedOut, Unavailable
from agent.hypervisor.libvirt.lanes import Job, LaneQueue, Owned, Phase, Supply

R = TypeVar("R")
T = TypeVar("T")

MAX_STUCK = 2
AGAIN_S = 1.0
"""Seconds until a call that had to keep its place is looked at again."""


@dataclass(frozen=True, slots=True)
class Late:
    """A call that returned after it had been given up, `seconds` after it began."""

    what: str
    seconds: float
    error: BaseException | None


class Threads(Generic[R]):
    """The executor; `sizes` gives the number of workers of each lane.

    At most `max_lost` workers may hang at a time. At that bound no fresh one takes a lost one's place, calls
    are withdrawn as Unavailable, and `on_exhausted` is called on the loop, once. While MAX_STUCK workers hang
    in opening there is no fresh one either: a peer that lets nobody in won't let the next one in. `on_late` is
    called on the loop when a lost call returns after all.

    `patience` has the seconds after which a call of a lane is overdue; in lanes that it doesn't name none ever is.
    None becomes overdue while `max_overdue` are, lost ones counted: then it keeps its place.
    """

    def __init__(
        self,
        supply: Supply[R],
        sizes: Mapping[str, int],
        *,
        patience: Mapping[str, float] | None = None,
        max_overdue: int = 8,
        max_lost: int = 16,
        on_late: Callable[[Late], None] | None = None,
        on_exhausted: Callable[[], None] | None = None,
    ) -> None:
        self._supply = supply
        patience = patience or {}
        self._lanes: dict[str, LaneQueue[R]] = {
            name: LaneQueue(name, size, patience.get(name, math.inf)) for name, size in sizes.items()
        }
        self.max_overdue = max_overdue
        self.max_lost = max_lost
        self._on_late = on_late
        self._on_exhausted = on_exhausted
        self._counts = threading.Lock()
        self._running: set[threading.Thread] = set()
        self._overdue = 0
        self._lost = 0
        self._stuck = 0  # those of the lost that hang in opening
        self._lost_ever = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._empty: asyncio.Event | None = None

    @property
    def overdue(self) -> int:
        """Calls that are waited for, and run for longer than a healthy one would."""
        return self._overdue

    @property
    def lost(self) -> int:
        """Workers that hang now in a call that was given up."""
        return self._lost

    @property
    def lost_ever(self) -> int:
        """Calls whose outcome stayed unknown, and openings that hung, since the start."""
        return self._lost_ever

    async def call(self, lane: str, fn: Callable[[R], T], *, what: str, timeout: float) -> T:
        """What `fn(resource)` returns or raises, run by a worker of `lane`.

        `timeout` in seconds, cut to what the deadline in force leaves; waiting for a worker counts. `what`
        names the call in errors. Raises Unavailable when it wasn't begun in time, TimedOut when it was begun
        and hasn't returned. A cancelled caller waits for a call that has begun, as long as the deadline
        allows; its CancelledError then has whatever the call raised as its cause.
        """
        if (left := deadline.remaining(timeout)) <= 0:
            raise Unavailable(f"{what} was not begun: no time was left for it")
        job: Job[R] = Job(what, fn, time.monotonic() + left)
        queue = self._lanes[lane]
        queue.put(job)
        self._hire(queue)
        cancelled = await self._wait(queue, job)
        was = job.give_up()
        self._account(job)
        if was in (Phase.QUEUED, Phase.WITHDRAWN):
            queue.forget(job)
        elif was is not Phase.DONE:
            self._lose(queue, was)
        error = job.error if was is Phase.DONE else _unfinished(job, was)
        job.error = None
        try:
            if cancelled is not None:
                raise cancelled from error
            if error is not None:
                raise error
            return job.value  # type: ignore[no-any-return]  # what `fn` returned
        finally:
            # An error's traceback holds `fn`'s frame with the domains in it, and each domain keeps a closed
            # connection open. Without a cycle they go at once.
            del error, cancelled

    async def _wait(self, lane: LaneQueue[R], job: Job[R]) -> asyncio.CancelledError | None:
        """Until it settled or its time is up; returns the cancellation that came meanwhile."""
        cancelled: asyncio.CancelledError | None = None
        while not job.settled.done() and (left := job.ends - time.monotonic()) > 0:
            try:
                await asyncio.wait((job.settled,), timeout=min(left, self._bear(lane, job)))
            except asyncio.CancelledError as error:
                cancelled = error
                if job.move(Phase.QUEUED, Phase.WITHDRAWN):
                    break
        return cancelled

    def _bear(self, lane: LaneQueue[R], job: Job[R]) -> float:
        """Seconds until it is to be looked at again; it is overdue now if it has run for too long."""
        if job.phase is Phase.OVERDUE:
            return math.inf
        if job.running_since is None:
            return lane.patience
        if (left := job.running_since + lane.patience - time.monotonic()) > 0:
            return left
        with self._counts:
            if self._overdue + self._lost >= self.max_overdue:
                return min(lane.patience, AGAIN_S)
            if job.move(Phase.RUNNING, Phase.OVERDUE):
                self._overdue += 1
                lane.dismiss(free=False)
        self._hire(lane)
        return math.inf

    def _account(self, job: Job[R]) -> None:
        now = time.monotonic()
        began = job.began or now
        telemetry.spent("wait", began - job.queued)
        telemetry.spent("libvirt", (job.returned or now) - began)

    def _hire(self, lane: LaneQueue[R]) -> None:
        with self._counts:
            closed = self._lost >= self.max_lost or self._stuck >= MAX_STUCK
            if closed or not lane.hire():
                return
            thread = threading.Thread(target=self._work, args=(lane,), name=f"libvirt-{lane.name}", daemon=True)
            self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the host has no thread left; the job waits for one of the others
            self._running.discard(thread)
            lane.dismiss(free=True)

    def _lose(self, lane: LaneQueue[R], was: Phase) -> None:
        with self._counts:
            if was is Phase.OVERDUE:
                self._overdue -= 1
            else:
                lane.dismiss(free=False)
            self._lost += 1
            self._lost_ever += 1
            self._stuck += was is Phase.OPENING
            exhausted = self._lost >= self.max_lost
            on_exhausted = self._on_exhausted if exhausted else None
            if exhausted:
                self._on_exhausted = None
        if on_exhausted is not None:
            on_exhausted()
        self._hire(lane)

    def _work(self, lane: LaneQueue[R]) -> None:
        own = Owned(self._supply)
        while (end := self._next(lane, own)) is Phase.DONE:
            pass
        own.drop()
        with self._counts:
            self._running.discard(threading.current_thread())
            self._lost -= end in (Phase.LOST, Phase.WITHDRAWN)
            self._stuck -= end is Phase.WITHDRAWN
        if end is None:
            lane.dismiss(free=True)
        for each in self._lanes.values():
            self._hire(each)
        if not self._running and self._loop is not None and self._empty is not None:
            _tell(self._loop, self._empty.set)

    def _next(self, lane: LaneQueue[R], own: Owned[R]) -> Phase | None:
        """Do one job. DONE; or how the job was given up: then the worker is lost. OVERDUE: it was done, and the
        worker's place is taken. None: the lane is closed.

        A frame of its own, so that an idle worker holds on to nothing of its last job.
        """
        if (job := lane.take()) is None:
            return None
        if not job.move(Phase.QUEUED, Phase.OPENING):  # withdrawn while it waited
            lane.done()
            return Phase.DONE
        job.run(own.ready)
        end = job.phase
        if end is Phase.DONE and not self._stays(lane, job):
            end = Phase.OVERDUE
        self._report(job)
        return end

    def _stays(self, lane: LaneQueue[R], job: Job[R]) -> bool:
        """Said before the caller hears, or his next call would hire one more."""
        if not job.was_overdue:
            lane.done()
            return True
        with self._counts:
            self._overdue -= 1
        return lane.rejoin()

    def _report(self, job: Job[R]) -> None:
        if job.phase is Phase.DONE:
            _tell(job.loop, job.settle)
        elif job.phase is Phase.LOST and self._on_late is not None:
            late = Late(job.what, time.monotonic() - (job.began or job.queued), job.error)
            _tell(job.loop, partial(self._on_late, late))

    async def close(self, timeout: float) -> bool:
        """Begin nothing more, and give calls under way `timeout` seconds. False when some are still at it."""
        for lane in self._lanes.values():
            for job in lane.close():
                if job.move(Phase.QUEUED, Phase.DONE):
                    job.error = Unavailable(f"{job.what} was not begun: the agent is stopping")
                    job.settle()
        # The worker that ends last sets it. It may have done so just before: then nobody is left to wait for.
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        if self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._empty.wait()
        return not self._running


def _unfinished(job: Job[Any], was: Phase) -> Unavailable | TimedOut | None:
    match was:
        case Phase.RUNNING | Phase.OVERDUE:
            return TimedOut(f"{job.what} did not return in time; whether it was done is unknown")
        case Phase.OPENING:
            return Unavailable(f"{job.what} was not begun: no connection could be opened in time")
        case Phase.QUEUED:
            return Unavailable(f"{job.what} was not begun in time: all of its lane's workers were busy")
    return None


def _tell(loop: asyncio.AbstractEventLoop, say: Callable[[], None]) -> None:
    """From a worker; a loop that has ended needs no telling."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(say)
