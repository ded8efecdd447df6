"""The one thread that has the journal's connection.

`Journal` gives it callables; they run on this thread one after another, so SQLite never sees two users.

    jobs -> queue -> gather -> BEGIN, the writes, COMMIT, all told together
                            |       \\- one is refused: ROLLBACK, and again with a savepoint for each
                            -> reads, for a moment; the rest after the next writes

Group commit: while one batch is made durable the next one gathers, so under load many writes share one
fsync. When fewer have come than shared the last one, more are waited for, no longer than that commit took; a
lone write waits for nobody. Reads run between the batches: what they see is durable, and whoever reads a lot
at once keeps no change waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import apsw

from agent.errors import Unavailable
from agent.telemetry import share

T = TypeVar("T")

# More wouldn't share the fsync much better, and the first would wait for the last.
BATCH = 256
READING_S = 0.005
GATHERING_S = 0.01
"""Seconds that a batch gathers at most, however slow the disk is."""

FULL = "the journal's disk is full: free some space"
UNWRITABLE = "the journal can't be written"
# The disk's failures, not one write's. Most of them undo the whole transaction inside SQLite.
STORAGE: dict[type[apsw.Error], str] = {
    apsw.FullError: FULL,
    apsw.IOError: UNWRITABLE,
    apsw.ReadOnlyError: UNWRITABLE,
    apsw.CantOpenError: UNWRITABLE,
    apsw.PermissionsError: UNWRITABLE,
    apsw.NoMemError: UNWRITABLE,
    apsw.BusyError: "the journal is held by another process: nobody but the agent may open it",
    apsw.LockedError: UNWRITABLE,
    apsw.CorruptError: "the journal is damaged: at its next start the agent sets it aside and begins another",
    apsw.NotADBError: "the journal is damaged: at its next start the agent sets it aside and begins another",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """The disk takes nothing: since when, and what it says."""

    since: datetime
    message: str


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[apsw.Connection], Any]
    done: asyncio.Future[Any]
    writes: bool
    then: Callable[[], None] | None = None
    trial: bool = False


_Do = Callable[[apsw.Connection, _Job], "_Outcome"]


@dataclass(frozen=True, slots=True)
class Last:
    """The last batch of writes: how many there were, how many seconds they took."""

    writes: int = 0
    seconds: float = 0.0

    def gathering(self, there: int) -> float:
        """Seconds to wait for more jobs than those that are there."""
        return 0.0 if there >= self.writes else min(self.seconds, GATHERING_S)


@dataclass(frozen=True, slots=True)
class _Outcome:
    job: _Job
    value: Any = None
    error: Exception | None = None


class Writer:
    """Runs callables on the journal's thread. Made by `start`, ended by `close`.

    A caller that is cancelled while it waits doesn't take its write back: it may or may not happen. Whoever
    must follow a write up shields it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.trouble: Trouble | None = None
        """What a write met; until a trial has gone well."""

    @classmethod
    async def start(cls, connect: Callable[[], apsw.Connection]) -> Writer:
        """Start the thread and call `connect` on it; what that raises is raised here."""
        writer = cls()
        opened: asyncio.Future[None] = writer._loop.create_future()
        # A daemon: a loop that died must not keep the process alive. `close` waits for it.
        writer._thread = threading.Thread(target=writer._run, args=(connect, opened), name="journal", daemon=True)
        writer._thread.start()
        try:
            await opened
        except asyncio.CancelledError:
            writer._queue.put(None)
            raise
        return writer

    async def write(
        self,
        work: Callable[[apsw.Connection], T],
        *,
        then: Callable[[], None] | None = None,
        trial: bool = False,
    ) -> T:
        """Run `work` in a transaction; durable when this returns. `work` may be run again when its batch
        failed, so it changes nothing but the database. `then` is called on the loop after the commit, also
        when the caller has gone. A `trial` takes as much as a change may: only when it goes well the trouble is
        over, as small writes fit on a disk that is too full for others. Raises what `work` raises, or
        Unavailable."""
        return await self._submit(_Job(work, self._loop.create_future(), True, then, trial))  # type: ignore[no-any-return]

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work`, which only reads. Raises what `work` raises, or Unavailable."""
        return await self._submit(_Job(work, self._loop.create_future(), False))  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Do all that was handed in, close the file, end the thread. May be called twice."""
        if self._closed or self._thread is None:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    async def _submit(self, job: _Job) -> Any:
        if self._closed:
            raise Unavailable("the journal is closed: the agent is stopping")
        self._queue.put(job)
        with share("journal"):
            return await job.done

    def _run(self, connect: Callable[[], apsw.Connection], opened: asyncio.Future[None]) -> None:
        opening = _Job(lambda _: None, opened, False)
        try:
            db = connect()
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is for the one who waits
            self._tell([_Outcome(opening, error=failure)])
            return
        self._tell([_Outcome(opening)])
        try:
            self._serve(db)
        finally:
            db.close()

    def _serve(self, db: apsw.Connection) -> None:
        goes_on, reads, last = True, deque[_Job](), Last()
        while goes_on or reads:
            jobs: list[_Job] = []
            if goes_on:
                jobs, goes_on = self._take(last, wait=not reads)
            reads.extend(job for job in jobs if not job.writes)
            began = time.monotonic()
            written = _commit(db, [job for job in jobs if job.writes])
            if written:
                last = Last(len(written), time.monotonic() - began)
            self._note(written)
            self._tell(written)
            self._tell(_read_some(db, reads))

    def _take(self, last: Last, *, wait: bool) -> tuple[list[_Job], bool]:
        """The jobs that are there, at least one with `wait`; False when the end of all jobs is among them."""
        jobs: list[_Job] = []
        while len(jobs) < BATCH:
            try:
                job = self._queue.get(block=wait and not jobs)
            except queue.Empty:
                return jobs, True
            if job is None:
                return jobs, False
            jobs.append(job)
            if len(jobs) == 1 and job.writes and (left := last.gathering(1 + self._queue.qsize())):
                time.sleep(left)
        return jobs, True

    def _note(self, written: list[_Outcome]) -> None:
        failures = [o.error for o in written if isinstance(o.error, Unavailable) and o.error.__cause__]
        if failures:
            since = self.trouble.since if self.trouble else datetime.now(UTC)
            self.trouble = Trouble(since, failures[-1].message)
        elif any(outcome.job.trial for outcome in written):
            self.trouble = None

    def _tell(self, outcomes: list[_Outcome]) -> None:
        if outcomes:
            # A closed loop: nobody waits any more, what was written stays written.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, outcomes)


def _read_some(db: apsw.Connection, reads: deque[_Job]) -> list[_Outcome]:
    """At least one, when there are any; no further one is begun when the time is up."""
    outcomes: list[_Outcome] = []
    end = time.monotonic() + READING_S
    while reads and (not outcomes or time.monotonic() < end):
        outcomes.append(_read(db, reads.popleft()))
    return outcomes


def _read(db: apsw.Connection, job: _Job) -> _Outcome:
    try:
        return _Outcome(job, job.work(db))
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is for the one who waits
        return _Outcome(job, error=_told(failure))


def _commit(db: apsw.Connection, jobs: list[_Job]) -> list[_Outcome]:
    if not jobs:
        return []
    try:
        return _transaction(db, jobs, _done)
    except (_Refused, apsw.Error):
        _roll_back(db)
    return _commit_apart(db, jobs)


def _commit_apart(db: apsw.Connection, jobs: list[_Job], *, first: bool = True) -> list[_Outcome]:
    """A failure is told to its own."""
    try:
        return _transaction(db, jobs, _attempt)
    except apsw.Error as failure:
        _roll_back(db)
        if len(jobs) > 1:
            # One of them may be too big for the room that is left: the others needn't fail with it.
            return [outcome for job in jobs for outcome in _commit_apart(db, [job])]
        if first and isinstance(failure, apsw.FullError) and _room_made(db):
            return _commit_apart(db, jobs, first=False)
        return [_Outcome(jobs[0], error=_told(failure))]


def _transaction(db: apsw.Connection, jobs: list[_Job], do: _Do) -> list[_Outcome]:
    db.execute("BEGIN IMMEDIATE")
    outcomes = [do(db, job) for job in jobs]
    db.execute("COMMIT")
    return outcomes


def _room_made(db: apsw.Connection) -> bool:
    """On a full disk the write-ahead log can't grow; emptied into the database, it is used from its start."""
    try:
        busy = db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()[0][0]
    except apsw.Error:
        return False
    return not busy


class _Refused(Exception):
    """A write failed by itself, not by the disk."""


def _done(db: apsw.Connection, job: _Job) -> _Outcome:
    """Nearly all are: no savepoint is spent on them."""
    try:
        return _Outcome(job, job.work(db))
    except tuple(STORAGE):
        raise
    except Exception as failure:
        raise _Refused from failure


def _attempt(db: apsw.Connection, job: _Job) -> _Outcome:
    """In a savepoint, as it may be refused."""
    db.execute("SAVEPOINT job")
    try:
        value = job.work(db)
    except tuple(STORAGE):
        raise
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is for the one who waits
        db.execute("ROLLBACK TO job; RELEASE job")
        return _Outcome(job, error=failure)
    db.execute("RELEASE job")
    return _Outcome(job, value)


def _roll_back(db: apsw.Connection) -> None:
    if db.in_transaction:
        # A rollback that fails leaves nothing to do here; the next BEGIN says what is wrong.
        with contextlib.suppress(apsw.Error):
            db.execute("ROLLBACK")


def _told(failure: Exception) -> Exception:
    for kind, message in STORAGE.items():
        if isinstance(failure, kind):
            told = Unavailable(f"{message} ({failure})")
            told.__cause__ = failure
            return told
    return failure


def _settle(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        job = outcome.job
        if outcome.error is None and job.then is not None:
            job.then()
        if job.done.done():
            continue
        if outcome.error is None:
            job.done.set_result(outcome.value)
        else:
            job.done.set_exception(outcome.error)
