"""What `threads` is made of: a call on its way, the queue it waits in, the resource its worker owns."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from agent.errors import Unavailable

R = TypeVar("R")


class Supply(Protocol[R]):
    """Makes the resource that each worker owns. All three are called in the worker's thread."""

    def open(self) -> R:
        """May block. Raises what the caller shall see."""
        ...

    def usable(self, resource: R) -> bool:
        """Asked before each call; must not block."""
        ...

    def close(self, resource: R) -> None:
        """Must not raise."""
        ...


class Phase(enum.Enum):
    QUEUED = enum.auto()
    OPENING = enum.auto()
    RUNNING = enum.auto()
    OVERDUE = enum.auto()
    DONE = enum.auto()
    WITHDRAWN = enum.auto()
    LOST = enum.auto()


GIVEN_UP = {
    Phase.QUEUED: Phase.WITHDRAWN,
    Phase.OPENING: Phase.WITHDRAWN,
    Phase.RUNNING: Phase.LOST,
    Phase.OVERDUE: Phase.LOST,
}


class Job(Generic[R]):
    """One call on its way. The loop and one worker change its phase; whoever changes it first decides."""

    def __init__(self, what: str, fn: Callable[[R], Any], ends: float) -> None:
        self.what = what
        self.ends = ends
        self.queued = time.monotonic()
        self.began: float | None = None
        self.running_since: float | None = None
        self.was_overdue = False
        self.returned: float | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[None] = self.loop.create_future()
        self._fn = fn
        self._context = contextvars.copy_context()
        self._phase = Phase.QUEUED
        self._lock = threading.Lock()

    def move(self, old: Phase, new: Phase) -> bool:
        """From `old` to `new`; False when it isn't in `old` any more, having been given up."""
        with self._lock:
            if self._phase is not old:
                return False
            self._phase = new
            return True

    def give_up(self) -> Phase:
        """Returns the phase it was in: unless that is DONE its result isn't wanted from now on."""
        with self._lock:
            was = self._phase
            self._phase = GIVEN_UP.get(was, was)
            return was

    def run(self, open_resource: Callable[[], R]) -> None:
        """In the worker, from OPENING on; its phase then says whether anybody still waits for it."""
        self.began = time.monotonic()
        try:
            resource = open_resource()
            self.running_since = time.monotonic()
            if not self.move(Phase.OPENING, Phase.RUNNING):
                return
            self.value = self._context.run(self._fn, resource)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            self.error = error
        self.returned = time.monotonic()
        with self._lock:
            self.was_overdue = self._phase is Phase.OVERDUE
            if self._phase in (Phase.OPENING, Phase.RUNNING, Phase.OVERDUE):
                self._phase = Phase.DONE

    @property
    def phase(self) -> Phase:
        return self._phase

    def settle(self) -> None:
        if not self.settled.done():
            self.settled.set_result(None)


class LaneQueue(Generic[R]):
    """A queue, and the workers that take from it: started when there is work for them, then kept. `patience`:
    seconds that a healthy call takes at most."""

    def __init__(self, name: str, size: int, patience: float) -> None:
        self.name = name
        self.patience = patience
        self._size = size
        self._jobs: deque[Job[R]] = deque()
        self._changed = threading.Condition()
        self._workers = 0
        self._free = 0  # workers without a job
        self._closed = False

    def put(self, job: Job[R]) -> None:
        with self._changed:
            if self._closed:
                raise Unavailable(f"{job.what} was not begun: the agent is stopping")
            self._jobs.append(job)
            self._changed.notify()

    def forget(self, job: Job[R]) -> None:
        """Drop a withdrawn job, so that they don't pile up while the lane hangs."""
        with self._changed, contextlib.suppress(ValueError):
            self._jobs.remove(job)

    def take(self) -> Job[R] | None:
        """Block for the next job; None when the lane is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if self._closed:
                return None
            self._free -= 1
            return self._jobs.popleft()

    def done(self) -> None:
        """The worker is free again."""
        with self._changed:
            self._free += 1

    def rejoin(self) -> bool:
        """A worker that was dismissed for a job that took too long is free; False when its place is taken."""
        with self._changed:
            room = self._workers < self._size
            self._workers += room
            self._free += room
            return room

    def hire(self) -> bool:
        """True when a further worker is wanted; it counts from now on."""
        with self._changed:
            wanted = self._workers < self._size and len(self._jobs) > self._free and not self._closed
            self._workers += wanted
            self._free += wanted
            return wanted

    def dismiss(self, *, free: bool) -> None:
        """A worker is gone, lost, or at a job that takes too long: `free` when it had no job."""
        with self._changed:
            self._workers -= 1
            self._free -= free

    def close(self) -> list[Job[R]]:
        """Take nothing more; the jobs that no worker has."""
        with self._changed:
            self._closed = True
            left = list(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
            return left


class Owned(Generic[R]):
    """The resource of one worker: opened when first needed, and again when it broke."""

    def __init__(self, supply: Supply[R]) -> None:
        self._supply = supply
        self._resource: R | None = None

    def ready(self) -> R:
        if self._resource is not None and not self._supply.usable(self._resource):
            self.drop()
        if self._resource is None:
            self._resource = self._supply.open()
        return self._resource

    def drop(self) -> None:
        if self._resource is not None:
            resource, self._resource = self._resource, None
            self._supply.close(resource)
