"""The journal: all that must survive a kill. The only door to it for everyone else.

What an `await` here has returned from is on the disk. Everything happens on the writer's thread, so calls
take effect in the order they are made. Times are UTC; uuids identify instances and operations.

Every method may raise Unavailable: the disk is full, can't be written, or the journal is closed. Nothing of
that call happened then, and the journal goes on working when the disk does.

A caller that is cancelled while it waits doesn't know whether its write happened: who must follow it up
(`accept` above all: an accepted operation has to be run) shields the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import apsw
from pydantic import BaseModel, ValidationError

from agent.errors import Conflict, Internal, Unavailable
from agent.journal import boots, condition, generations, lookup, operations, power, pruning, replies
from agent.journal import events as event_rows
from agent.journal.columns import from_address
from agent.journal.opening import Opened, open_journal
from agent.journal.records import (
    Acceptance,
    Address,
    Answer,
    EventRecord,
    NewEvent,
    NewOperation,
    OperationRecord,
    OutgoingReply,
    Status,
)
from agent.journal.sealing import KeyFile
from agent.journal.writer import Trouble, Writer
from agent.saga import Entry, Mark

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")

Clock = Callable[[], datetime]
OUTBOX_LIMIT = 200_000


def utc_now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """Made by `open`. `outgoing` is set after each commit that added events or replies; the publisher clears
    it before it looks for them."""

    def __init__(
        self, writer: Writer, stream: UUID, key: KeyFile, *, host: str, clock: Clock, outbox_limit: int
    ) -> None:
        self.host = host
        self.stream = stream
        self.outgoing = asyncio.Event()
        self._writer = writer
        self._key = key
        self._clock = clock
        self._outbox_limit = outbox_limit
        self._added = 0
        self._awaited: int | None = None
        self._much = asyncio.Event()
        self._events = event_rows.Stream(stream, f"/compute/{host}")

    @classmethod
    async def open(
        cls,
        path: Path,
        key: KeyFile,
        *,
        host: str,
        clock: Clock = utc_now,
        outbox_limit: int = OUTBOX_LIMIT,
    ) -> Journal:
        """Open `path`, or make it. A damaged file is set aside and a new journal begun.

        Raises StartRefused: written by a newer agent, by another host or with another key, or not writable.
        """
        opened: list[Opened] = []

        def connect() -> apsw.Connection:
            opened.append(open_journal(path, key, host, clock()))
            return opened[0].db

        writer = await Writer.start(connect)
        journal = cls(writer, opened[0].stream, key, host=host, clock=clock, outbox_limit=outbox_limit)
        # What an earlier run hadn't sent.
        journal.outgoing.set()
        return journal

    async def close(self) -> None:
        """Finish what was handed in and close the file."""
        await self._writer.close()

    def fingerprint(self, method: str, args_json: bytes) -> str:
        """A keyed digest: equal for equal method and equal bytes, tells nothing about them."""
        return self._key.digest(method.encode(), args_json)

    # Operations

    async def accept(self, new: NewOperation) -> Acceptance:
        """Take a changing request: Accepted once for each identity; then Repeated or Different.

        A repeat that isn't answered yet adds its address to those who get the answer. Raises InvalidRequest
        for an identity that is too long; Unavailable at the outbox's bound too, for new requests only.
        """
        self._count(1)
        state, at, limit = self._sealed(new.state), self._clock(), self._outbox_limit
        return await self._writer.write(lambda db: operations.accept(db, new, state, at, limit))

    async def begin(self, operation_id: UUID, events: Sequence[NewEvent]) -> None:
        """Queued or (resumed) running -> running. Raises NotFound, Conflict."""
        at = self._clock()
        await self._write_with(events, at, lambda db: operations.begin(db, operation_id, at))

    async def begin_change(
        self,
        operation_id: UUID,
        uuid: UUID,
        events: Sequence[NewEvent],
        at_least: int = 0,
        *,
        step: str | None = None,
    ) -> int:
        """`begin`, and `bump` of the instance, all or nothing: what was begun has its generation. Returns it; the
        events and the operation's state carry it. `step`, its first, is begun with it. Raises NotFound, Conflict.
        """
        at = self._clock()

        def both(db: apsw.Connection) -> int:
            operations.begin(db, operation_id, at)
            generation = generations.bump(db, uuid, at_least)
            if step is not None:
                operations.begin_step(db, operation_id, step, generation, at)
            return generation

        return await self._write_with(events, at, both)

    async def write_step(
        self, operation_id: UUID, step: str, mark: Mark, state: BaseModel, done: str | None = None
    ) -> None:
        """With `done`, that step is marked as such too. Raises NotFound; Conflict when the operation has ended."""
        change, at = operations.Marking(step, mark, self._sealed(state), done), self._clock()
        await self._writer.write(lambda db: operations.write_step(db, operation_id, change, at))

    async def upgrade(self, operation_id: UUID, version: int, marks: Mapping[str, Mark], state: BaseModel) -> None:
        """Its steps and state in the words of another version of its saga's table. Raises NotFound; Conflict when
        it has ended and its state is erased."""
        change, at = operations.Upgrading(version, marks, self._sealed(state)), self._clock()
        await self._writer.write(lambda db: operations.upgrade(db, operation_id, change, at))

    def entry(self, operation_id: UUID) -> Entry:
        """The journal as one saga sees it."""
        return _Entry(self, operation_id)

    async def finish(
        self,
        operation_id: UUID,
        status: Status,
        answer: Answer,
        events: Sequence[NewEvent],
        shares: Mapping[str, float],
    ) -> None:
        """End a queued or running operation: answer kept for repeats and sent to every waiter, state erased
        (kept when stuck or unknown: whoever retries needs it). Of one that succeeded, all that was begun is done.
        Raises NotFound, Conflict."""
        ending = operations.Ending(status, answer, shares, self._clock())
        await self._write_with(
            events, ending.at, lambda db: operations.finish(db, operation_id, ending), answers=True
        )

    async def requeue(self, operation_id: UUID, *, undo: Sequence[str] = ()) -> None:
        """Stuck or unknown -> queued. Repeats now wait for the new answer. The steps named in `undo` are marked
        as being undone, so that no restart goes on with them. Raises NotFound, Conflict."""
        at = self._clock()
        await self._writer.write(lambda db: operations.requeue(db, operation_id, undo, at))

    async def abandon(self, operation_id: UUID, events: Sequence[NewEvent]) -> None:
        """Stuck or unknown -> abandoned, state erased. Raises NotFound, Conflict."""
        at = self._clock()
        await self._write_with(events, at, lambda db: operations.abandon(db, operation_id, at))

    async def operation(self, operation_id: UUID) -> OperationRecord:
        """Raises NotFound."""
        return await self._writer.read(lambda db: lookup.get(db, operation_id))

    async def operations(
        self,
        *,
        instance_uuid: UUID | None = None,
        statuses: Sequence[Status] | None = None,
        method: str | None = None,
        limit: int = 100,
        before: UUID | None = None,
    ) -> list[OperationRecord]:
        """Newest first; `before` is the last one of the page before. Raises NotFound for that."""
        wanted = lookup.Filter(instance_uuid, statuses, method, limit, before)
        return await self._writer.read(lambda db: lookup.find(db, wanted))

    async def unfinished(self) -> list[OperationRecord]:
        """Queued and running ones in the order they were accepted."""
        return await self._writer.read(lookup.unfinished)

    async def waiting(self) -> list[tuple[Address, datetime]]:
        """Who shall get the answers of the unfinished operations, and since when each was accepted."""
        return await self._writer.read(lookup.waiting)

    async def pending(self) -> int:
        """How many are queued or running."""
        return await self._writer.read(lookup.pending)

    def load_state(self, record: OperationRecord, model: type[S], instead: str | None = None) -> S:
        """The saga's state with its secrets opened; `instead`: the same, mapped to what `model` wants. Raises
        Conflict when it was erased; Internal when it isn't a `model` or was sealed with another key."""
        if record.state is None:
            raise Conflict(f"operation {record.id} is {record.status}: its state is erased")
        try:
            return model.model_validate_json(instead or record.state, context={"sealer": self._key})
        except ValidationError as failure:
            where = ", ".join(".".join(map(str, error["loc"])) or "all of it" for error in failure.errors())
            # Without its cause: that one quotes the values.
            raise Internal(
                f"the state of operation {record.id} ({record.saga} {record.saga_version}) "
                f"isn't what {model.__name__} wants: {where}"
            ) from None

    # Generations and power states

    async def generation(self, uuid: UUID) -> int:
        """0 when unknown."""
        return await self._writer.read(lambda db: generations.get(db, uuid))

    async def bump(self, uuid: UUID, at_least: int = 0) -> int:
        """Count up and return the new one: one more than what is kept and than `at_least`."""
        return await self._writer.write(lambda db: generations.bump(db, uuid, at_least))

    async def generations(self) -> dict[UUID, int]:
        return await self._writer.read(generations.every)

    async def last_state(self, uuid: UUID) -> power.Known | None:
        return await self._writer.read(lambda db: power.get(db, uuid))

    async def last_states(self) -> dict[UUID, power.Known]:
        return await self._writer.read(power.every)

    async def record_power(
        self, uuid: UUID, state: str | None, events: Sequence[NewEvent], *, bump: bool, at_least: int = 0
    ) -> int | None:
        """The last state (None forgets the instance), the new generation when `bump`, and the events, which
        carry that generation; all or nothing. `at_least`: the domain's own generation, which is the higher one
        when the journal was lost. Returns the new generation, None without `bump`."""
        at = self._clock()

        def record(db: apsw.Connection) -> int | None:
            power.record(db, uuid, state, at)
            return generations.bump(db, uuid, at_least) if bump else None

        return await self._write_with(events, at, record)

    # The host's boots

    async def last_boot(self) -> str | None:
        """The host's boot that `begin_boot` was last told of; None: none."""
        return await self._writer.read(boots.last)

    async def begin_boot(self, boot_id: str, to_start: Sequence[UUID]) -> None:
        """The host is in another boot, in which these instances are to be started again."""
        await self._writer.write(lambda db: boots.begin(db, boot_id, to_start))

    async def first_to_start(self) -> UUID | None:
        """The first that waits to be started again, of which nothing was asked since; it stays until `started`."""
        return await self._writer.write(boots.first_to_start)

    async def started(self, uuid: UUID) -> None:
        """It waits no more: its start was accepted."""
        await self._writer.write(lambda db: boots.started(db, uuid))

    # Events

    async def append(self, events: Sequence[NewEvent]) -> list[EventRecord]:
        """Number them, in the order given. `data.generation` is filled in for an event with a subject."""
        self._count(len(events))
        at = self._clock()
        return await self._writer.write(
            lambda db: self._events.append(db, events, at), then=self._signal(bool(events))
        )

    async def events_from(self, sequence: int, limit: int) -> list[EventRecord]:
        """Empty past the end. Raises NotFound with `details.oldest` when older than what is kept."""
        return await self._writer.read(lambda db: self._events.since(db, sequence, limit))

    async def unsent_events(self, limit: int) -> list[EventRecord]:
        """Oldest first."""
        return await self._writer.read(lambda db: self._events.unsent(db, limit))

    async def events_sent(self, sequences: Sequence[int]) -> None:
        """The broker has confirmed them; they stay for replay."""
        await self._writer.write(lambda db: event_rows.sent(db, sequences))

    # Replies

    async def unsent_replies(self, limit: int) -> list[OutgoingReply]:
        """Oldest first."""
        return await self._writer.read(lambda db: replies.unsent(db, limit))

    async def replies_sent(self, ids: Sequence[int]) -> None:
        """The broker has confirmed them; they are forgotten."""
        await self._writer.write(lambda db: replies.sent(db, ids))

    async def add_reply(self, address: Address, answer: Answer) -> None:
        """For a repeat that is answered already."""
        to, text, at = from_address(address), answer.model_dump_json(), self._clock()
        await self._writer.write(lambda db: replies.add(db, to, text, at), then=self._signal(True))

    # Upkeep

    @property
    def trouble(self) -> Trouble | None:
        """Why a change can't be written: since one failed, until `try_again` has gone well."""
        return self._writer.trouble

    async def condition(self) -> condition.Condition:
        return await self._writer.read(condition.look)

    async def try_again(self) -> None:
        """Write as much as a change takes, if a write has failed: small ones say nothing, and on an idle agent
        nobody else finds out."""
        if self.trouble is not None:
            with suppress(Unavailable):
                await self._writer.write(condition.try_room, trial=True)

    async def grown(self, rows: int, timeout: float) -> None:
        """Wait until so many operations and events were added since this last returned; at most `timeout`
        seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._added < rows:
                    self._awaited = rows
                    self._much.clear()
                    await self._much.wait()
        self._added, self._awaited = 0, None

    def _count(self, rows: int) -> None:
        self._added += rows
        if self._awaited is not None and self._added >= self._awaited:
            self._much.set()

    async def prune(self, retention: timedelta, max_operations: int, max_events: int) -> int:
        """Forget what ended longer than `retention` ago or is more than these; returns how many rows.

        Never what is unfinished, stuck, unknown or unsent. Goes in small pieces; others' calls go between.
        """
        limits = pruning.Limits(self._clock() - retention, max_operations, max_events)
        return await pruning.prune(self._writer, limits)

    def _sealed(self, state: BaseModel) -> str:
        return state.model_dump_json(context={"sealer": self._key})

    def _signal(self, added: bool) -> Callable[[], None] | None:
        return self.outgoing.set if added else None

    async def _write_with(
        self,
        events: Sequence[NewEvent],
        at: datetime,
        work: Callable[[apsw.Connection], T],
        *,
        answers: bool = False,
    ) -> T:
        self._count(len(events))

        def both(db: apsw.Connection) -> T:
            done = work(db)
            event_rows.add(db, events, at)
            return done

        return await self._writer.write(both, then=self._signal(answers or bool(events)))


@dataclass(frozen=True, slots=True)
class _Entry:
    journal: Journal
    operation_id: UUID

    async def write(self, step: str, mark: Mark, state: BaseModel, done: str | None = None) -> None:
        await self.journal.write_step(self.operation_id, step, mark, state, done)
