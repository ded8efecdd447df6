"""One owner for each instance: its mailbox, and what is under way on it.

Jobs on one instance run one after the other in the order they were submitted; jobs on different instances
know nothing of each other. A mailbox is made with its first job and gone with its last, and no thread or
worker waits in it.

    waiting -> running -> ended
       \\----------\\-> cancelled, by a caller or by a job that preempts

A job is a callable handed in from above; this module knows nothing of what it does. Cancelling is asking: a
running job sees `CancelledError`, one that begins later finds the reason in its `Job.cancelled`, and both clean
up. A preempting job cancels all that came before it, and so goes next without overtaking anything: what was
accepted first never happens after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog

from agent.errors import Busy

log = structlog.get_logger(__name__)

REMEMBERED = 10_000
"""Ended jobs of all instances that are still known as what may have caused something: some seconds' worth when the
agent is busiest."""


@dataclass(eq=False, slots=True)
class Job:
    """`run` does the work, or what is left to do when the job was cancelled before its turn."""

    operation_id: UUID
    method: str
    run: Callable[[Job], Awaitable[None]]
    request_id: str | None = None
    preempts: bool = False
    begun: datetime | None = None
    ending: bool = False
    """Its outcome is being written: too late to cancel it."""
    resumed: bool = False
    """An earlier run of the agent began it: even to be cancelled it needs its turn, for there is work to undo."""
    cancelled: str | None = None
    """Why it was cancelled; None: it wasn't, and a CancelledError means that the agent is stopping."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of a job that has ended: not the job itself, which holds all that it worked on."""

    uuid: UUID
    method: str
    request_id: str | None
    begun: datetime
    ended: datetime


class Memory:
    """The last `most` of them, found by their instance."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: deque[Past] = deque()
        self._of: dict[UUID, deque[Past]] = {}

    def keep(self, past: Past) -> None:
        self._all.append(past)
        self._of.setdefault(past.uuid, deque()).append(past)
        if len(self._all) > self._most:
            oldest = self._all.popleft().uuid
            self._of[oldest].popleft()
            if not self._of[oldest]:
                del self._of[oldest]

    def at(self, uuid: UUID, moment: datetime) -> Past | None:
        """Who was at work on an instance then."""
        for past in reversed(self._of.get(uuid, ())):
            if past.ended < moment:
                return None
            if past.begun <= moment:
                return past
        return None


@dataclass(slots=True)
class Mailbox:
    waiting: deque[Job] = field(default_factory=deque)
    running: Job | None = None
    work: asyncio.Task[None] | None = None
    """The running job's own task: what a cancel reaches."""


class Instances:
    """`max_waiting` bounds each mailbox; past it a job is refused with `busy`."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._mailboxes: dict[UUID, Mailbox] = {}
        self._owners: set[asyncio.Task[None]] = set()
        self._jobs: dict[UUID, tuple[UUID, Job]] = {}
        self._past = Memory(REMEMBERED)
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, uuid: UUID, job: Job, *, bounded: bool = True) -> None:
        """Queue a job. A preempting one cancels all before it and goes next. Raises Busy when `bounded`."""
        mailbox = self._mailboxes.get(uuid)
        if mailbox is None:
            mailbox = self._mailboxes[uuid] = Mailbox()
            self._own(uuid, mailbox)
        if job.preempts:
            self._cancel_all(mailbox, f"{job.method} was asked for")
            mailbox.waiting.append(job)
        elif bounded and len(mailbox.waiting) >= self._max_waiting:
            raise Busy(f"{len(mailbox.waiting)} operations wait for their turn on instance {uuid}")
        else:
            mailbox.waiting.append(job)
        self._jobs[job.operation_id] = (uuid, job)

    def under_way(self, uuid: UUID) -> tuple[Job, ...]:
        """The running job, then the waiting ones."""
        mailbox = self._mailboxes.get(uuid)
        if mailbox is None:
            return ()
        running = (mailbox.running,) if mailbox.running else ()
        return (*running, *mailbox.waiting)

    def at_work(self, uuid: UUID, moment: datetime) -> Job | Past | None:
        """Which job was at work on an instance then; what is heard of it may be heard after its end. A resumed
        one was at work before this run of the agent too."""
        for job in self.under_way(uuid):
            if job.resumed or (job.begun is not None and job.begun <= moment):
                return job
        return self._past.at(uuid, moment)

    async def cancel(self, operation_id: UUID, reason: str) -> bool:
        """Cancel a job and wait for its end; False when it isn't here."""
        found = self._jobs.get(operation_id)
        if found is None:
            return False
        uuid, job = found
        # Gone, when another caller has withdrawn the job and its end is still being written.
        mailbox = self._mailboxes.get(uuid, Mailbox())
        if job is mailbox.running:
            self._cancel_running(mailbox, reason)
        elif job in mailbox.waiting:
            job.cancelled = job.cancelled or reason
            if not job.resumed:
                mailbox.waiting.remove(job)
                try:
                    await job.run(job)
                finally:
                    self._end(job)
        await job.ended.wait()
        return True

    async def ended(self, operation_id: UUID) -> None:
        """Wait for a job's end; returns at once when it isn't here."""
        if (found := self._jobs.get(operation_id)) is not None:
            await found[1].ended.wait()

    async def wait_until_idle(self) -> None:
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop all work where it stands; the journal knows how far it is."""
        for owner in tuple(self._owners):
            owner.cancel()
        await asyncio.gather(*self._owners, return_exceptions=True)

    def _own(self, uuid: UUID, mailbox: Mailbox) -> None:
        self._idle.clear()
        owner = asyncio.create_task(self._drain(uuid, mailbox), name=f"instance-{uuid}")
        self._owners.add(owner)
        owner.add_done_callback(self._disown)

    def _disown(self, owner: asyncio.Task[None]) -> None:
        self._owners.discard(owner)
        if not self._owners:
            self._idle.set()

    async def _drain(self, uuid: UUID, mailbox: Mailbox) -> None:
        try:
            while mailbox.waiting:
                await self._run(mailbox, mailbox.waiting.popleft())
        finally:
            # No await between the last look at `waiting` and this: a job submitted later makes a new mailbox.
            del self._mailboxes[uuid]

    async def _run(self, mailbox: Mailbox, job: Job) -> None:
        mailbox.running = job
        mailbox.work = asyncio.ensure_future(self._work(job))
        try:
            await asyncio.wait([mailbox.work])
        except asyncio.CancelledError:
            mailbox.work.cancel()
            await asyncio.wait([mailbox.work])
            raise
        finally:
            mailbox.running = mailbox.work = None
            self._end(job)

    @staticmethod
    async def _work(job: Job) -> None:
        job.begun = datetime.now(UTC)
        await job.run(job)

    def _end(self, job: Job) -> None:
        uuid, _ = self._jobs.pop(job.operation_id)
        if job.begun is not None:
            self._past.keep(Past(uuid, job.method, job.request_id, job.begun, datetime.now(UTC)))
        job.ended.set()

    def _cancel_all(self, mailbox: Mailbox, reason: str) -> None:
        if mailbox.running is not None and not mailbox.running.preempts:
            self._cancel_running(mailbox, reason)
        for job in mailbox.waiting:
            if not job.preempts:
                job.cancelled = job.cancelled or reason

    @staticmethod
    def _cancel_running(mailbox: Mailbox, reason: str) -> None:
        job = mailbox.running
        if job is None or mailbox.work is None or job.cancelled is not None or job.ending:
            return
        job.cancelled = reason
        # A task that is cancelled before its first step never runs: nobody would tell what became of the job.
        if job.begun is not None:
            mailbox.work.cancel()
