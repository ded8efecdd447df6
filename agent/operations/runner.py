"""Runs operations: from the journal, through the instance's mailbox, to the answer in the journal.

    accept   journaled (durable), then submitted          the edge may acknowledge
    turn     settled, deadline, generation, admission     refused: answered, nothing begun
    run      the saga, each step journaled                failed: undone
    finish   answer and `.end` or `.error` event, in one transaction

After a restart `recover` submits what the journal has unfinished. An operation that had begun goes on
where its marks say, without asking admission again: the state it left half changed is its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from agent import telemetry
from agent.errors import (
    AgentError,
    Busy,
    Conflict,
    NotFound,
    OperationFailed,
    OperationStuck,
    TimedOut,
    Unavailable,
)
from agent.hypervisor.ports import DomainView, Hypervisor
from agent.instances import Instances, Job
from agent.journal import Journal
from agent.journal.records import Acceptance, Accepted, Answer, NewEvent, NewOperation, OperationRecord, Status
from agent.operations import TABLE
from agent.operations.base import Operation
from agent.operations.outcome import STATUS_BY_ERROR, bug, error_body, event
from agent.operations.turn import Ground, Limits, Turn
from agent.operations.unknown import KNOWN_AT_ONCE, Unknown, is_lacking
from agent.operations.upgrading import present
from agent.patience import until_done
from agent.saga import Run, Saga

log = structlog.get_logger(__name__)

RETRYABLE = (Status.STUCK, Status.UNKNOWN)
"""What a person may have undone again, or give up."""


@dataclass(slots=True)
class Doing:
    """How far a running operation is, as far as it tells."""

    what: str = ""
    progress: float | None = None


Tell = Callable[[OperationRecord, str, float], None]
"""Is given what a running operation is doing and how far it is, 0.0 to 1.0, to publish as it likes."""


class Operations:
    """One for the agent. `tell` must not block."""

    def __init__(
        self,
        journal: Journal,
        hypervisor: Hypervisor,
        instances: Instances,
        limits: Limits,
        tell: Tell,
        control: Mapping[str, Saga[Operations, Any]],
        table: Mapping[str, Operation[Any]] = TABLE,
    ) -> None:
        self.journal = journal
        self._ground = Ground(journal, hypervisor, limits, self._progressed, self._clear_up, self._end_earlier)
        self._unknown = Unknown()
        self._instances = instances
        self._max_pending = limits.max_pending
        self._tell = tell
        self._control = control
        self._table = table
        self._controlling: set[asyncio.Task[None]] = set()
        self._doing: dict[UUID, Doing] = {}
        self._pending = 0
        self._room = asyncio.Event()
        self._stopping = False
        self._room.set()

    # Room: at most `max_pending` unfinished, the rest waits in the broker.

    @property
    def pending(self) -> int:
        """Accepted and unfinished."""
        return self._pending

    def has_room(self) -> bool:
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        await self._room.wait()

    def doing(self, operation_id: UUID) -> Doing | None:
        return self._doing.get(operation_id)

    async def accept(self, new: NewOperation) -> Acceptance:
        """Durable when it returns. Raises Unavailable when the journal can't be written."""
        acceptance = await self.journal.accept(new)
        if isinstance(acceptance, Accepted):
            await self._submit(acceptance.operation)
        return acceptance

    async def recover(self) -> int:
        """Submit what an earlier run left unfinished; how many there were."""
        unfinished = await self.journal.unfinished()
        await self._unknown.load(self.journal)
        begun = {record.instance_uuid for record in unfinished if record.steps and record.instance_uuid}
        for uuid in begun | self._unknown.instances:
            # Calls of that run may be under way still: libvirt does what it was sent.
            self._ground.hypervisor.domains.suspect(uuid)
        for record in unfinished:
            # Bounds are for what is asked now; this was accepted.
            await self._submit(record, bounded=False)
        return len(unfinished)

    async def retry(self, operation_id: UUID) -> OperationRecord:
        """Undo a stuck or unknown operation again, or do it again if it has no undo; wait for its end. Raises
        NotFound, Conflict."""
        record = await self.journal.operation(operation_id)
        if record.status not in RETRYABLE:
            raise Conflict(f"operation {operation_id} is {record.status.value}, not stuck")
        await self._refuse_if_made_again(record)
        # What has no undo is tried again instead: its steps may run twice.
        undo = "it was given up" if self._known(record).can_be_undone else None
        job = await self._submit(await self._requeued(record), undo=undo, bounded=False)
        if job is not None:
            await job.ended.wait()
        return await self.journal.operation(operation_id)

    async def _refuse_if_made_again(self, record: OperationRecord) -> None:
        spawned = partial(
            self.journal.operations,
            instance_uuid=record.instance_uuid,
            method="spawn",
            statuses=[Status.SUCCEEDED],
            limit=1,
        )
        if await spawned() != await spawned(before=record.id):
            raise Conflict(
                f"instance {record.instance_uuid} was spawned again since: what would be undone now is the new "
                "one's; abandon the operation"
            )

    async def cancel(self, operation_id: UUID) -> OperationRecord:
        """Cancel an operation and wait until it is undone. Raises NotFound, Conflict when it ended otherwise."""
        await self._instances.cancel(operation_id, "a caller asked for it")
        record = await self.journal.operation(operation_id)
        if record.status is not Status.CANCELLED:
            raise Conflict(f"operation {operation_id} has ended: it is {record.status.value}")
        return record

    async def abandon(self, operation_id: UUID) -> OperationRecord:
        """Give a stuck operation up. Raises NotFound, Conflict."""
        record = await self.journal.operation(operation_id)
        if record.status is Status.ABANDONED:
            return record
        if record.status not in RETRYABLE:
            raise Conflict(f"operation {operation_id} is {record.status.value}, not stuck")
        await self.journal.abandon(operation_id, [])
        return await self.journal.operation(operation_id)

    async def stop(self) -> None:
        """Stop all work where it stands; the journal has how far it is."""
        self._stopping = True
        controlling = tuple(self._controlling)
        for task in controlling:
            task.cancel()
        await self._instances.stop()
        await asyncio.gather(*controlling, return_exceptions=True)

    async def _requeued(self, record: OperationRecord) -> OperationRecord:
        """To be undone, as far as it can be."""
        undo = [step.name for step in self._known(record).saga.steps if step.undo is not None]
        # A journal that can't be written is waited for: what goes on without would find what is to be undone.
        await until_done(lambda: self.journal.requeue(record.id, undo=undo), may_pass=self._goes_on_after)
        return await self.journal.operation(record.id)

    def _known(self, record: OperationRecord) -> Operation[Any]:
        """Raises OperationStuck for what only another version of the agent can do."""
        if record.method not in self._table:
            raise OperationStuck(
                f"this agent doesn't know {record.method}, which another version of it had accepted; what was "
                "begun stays: retry it with an agent that knows it, or give it up"
            )
        return self._table[record.method]

    async def _clear_up(self, uuid: UUID, job: Job) -> None:
        """Undo the instance's last operation if its outcome was unknown and isn't there; in the turn of `job`."""
        record = await self._unknown.latest(self.journal, uuid)
        lacking = record is not None and await self._is_lacking(uuid, record)
        if record is not None and lacking:
            record = await self._surely_requeued(record, job)
        # Not before: what couldn't be requeued would never be judged. One that stays unknown is there again.
        self._unknown.instances.discard(uuid)
        if record is not None and lacking:
            await self._undo_again(record, job, "its outcome was unknown, and what it asked for isn't there")

    async def _end_earlier(self, uuid: UUID, job: Job) -> None:
        """What stuck or unknown operations made went with the instance, which `job` has destroyed. One whose undo
        fails again stays stuck."""
        for record in await self.journal.operations(instance_uuid=uuid, statuses=RETRYABLE, limit=KNOWN_AT_ONCE):
            if record.method in self._table:
                requeued = await self._surely_requeued(record, job)
                await self._undo_again(requeued, job, "its instance was destroyed")

    async def _surely_requeued(self, record: OperationRecord, job: Job) -> OperationRecord:
        """Also when `job` is cancelled meanwhile: queued and nobody's, it would be undone after the next start,
        whatever has been made of its instance by then."""
        requeueing = asyncio.ensure_future(self._requeued(record))
        try:
            await asyncio.wait({requeueing})
        except asyncio.CancelledError:
            if job.cancelled is None:
                raise  # the agent is stopping: nothing comes before the next start
            await asyncio.wait({requeueing})
        finally:
            requeueing.cancel()
        return requeueing.result()

    async def _undo_again(self, record: OperationRecord, job: Job, why: str) -> None:
        """A requeued one, in the turn of `job`: what comes after that finds it done."""
        self._count(+1)
        await self._perform(record, Turn(self._ground, self._table[record.method], record, job).take(why))

    async def _is_lacking(self, uuid: UUID, record: OperationRecord) -> bool:
        try:
            operation = self._known(record)
            state = (await present(self.journal, operation.saga, record)).state
        except (Conflict, OperationFailed, OperationStuck) as error:
            log.warning("operation.unreadable", operation=str(record.id), error=error.message)
            return False  # for a person: the next change isn't kept from its turn
        view: DomainView | None = None
        with suppress(NotFound):
            view = await self._ground.hypervisor.domains.get(uuid)
        return is_lacking(operation, state, view, await self.journal.generation(uuid))

    async def _submit(
        self, record: OperationRecord, *, undo: str | None = None, bounded: bool = True
    ) -> Job | None:
        self._count(+1)
        if record.method in self._control:
            self._start_control(record)
            return None
        try:
            operation = self._known(record)
        except OperationStuck as refusal:
            await self._finish(record, refusal, {})
            return None
        job = Job(
            operation_id=record.id,
            method=record.method,
            run=lambda job: self._perform(record, Turn(self._ground, operation, record, job).take(undo), job),
            request_id=record.caller.request_id,
            preempts=operation.preempts,
            resumed=bool(record.steps),
        )
        assert record.instance_uuid is not None  # noqa: S101 - every operation in the table has one
        try:
            self._instances.submit(record.instance_uuid, job, bounded=bounded)
        except Busy as refusal:
            await self._finish(record, refusal, {})
            return None
        if operation.preempts and record.if_generation is None:
            self._beside(self._free(record, job))
        return job

    async def _free(self, record: OperationRecord, job: Job) -> None:
        """Until a destroy has ended: what hangs on its instance hangs in a guest that shall end anyway. Not for
        one that may yet be refused."""
        domains, uuid = self._ground.hypervisor.domains, record.instance_uuid
        while uuid is not None and not await _within(self._ground.limits.hangs_s, job.ended):
            if record.not_after is None or datetime.now(UTC) < record.not_after:
                with suppress(AgentError):
                    await domains.break_off(uuid)

    def _start_control(self, record: OperationRecord) -> None:
        self._beside(self._perform(record, self._do_control(record)))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the turns, until it ends or the agent stops."""
        task = asyncio.create_task(work)
        self._controlling.add(task)
        task.add_done_callback(self._controlling.discard)

    async def _do_control(self, record: OperationRecord) -> dict[str, Any]:
        saga = self._control[record.method]
        if record.saga_version != saga.version:
            raise OperationFailed("it was asked of another version of the agent, which left it undone; ask again")
        state = self.journal.load_state(record, saga.state)
        await Run(saga, self, self.journal.entry(record.id), state).forward()
        return {"operation_id": str(record.id)}

    def _progressed(self, record: OperationRecord, what: str, fraction: float) -> None:
        self._doing[record.id] = Doing(what, fraction)
        self._tell(record, what, fraction)

    def _count(self, change: int) -> None:
        self._pending += change
        if self._pending < self._max_pending:
            self._room.set()
        else:
            self._room.clear()

    async def _perform(
        self, record: OperationRecord, work: Coroutine[Any, Any, dict[str, Any]], job: Job | None = None
    ) -> None:
        names = {"request_id": record.caller.request_id, "method": record.method}
        with (
            structlog.contextvars.bound_contextvars(instance=str(record.instance_uuid), **names),
            telemetry.measured() as shares,
        ):
            queued = (datetime.now(UTC) - record.accepted_at).total_seconds()
            began = time.monotonic()
            outcome: dict[str, Any] | AgentError
            try:
                outcome = await work
            except AgentError as error:
                outcome = error
            except Exception:  # noqa: BLE001 - the edge of an operation: a bug ends it, with a number
                outcome = bug()
            # A CancelledError passes: the agent is stopping, and the journal keeps the rest for the next start.
            if job is not None:
                job.ending = True
            shares["total"] = time.monotonic() - began
            shares["queued"] = max(0.0, queued)
            await self._finish(record, outcome, shares)

    async def _finish(
        self, record: OperationRecord, outcome: dict[str, Any] | AgentError, shares: dict[str, float]
    ) -> None:
        """Write the end; shielded, so that a stop in this moment can't separate work and answer."""
        if isinstance(outcome, TimedOut) and record.instance_uuid is not None:
            self._unknown.instances.add(record.instance_uuid)
        if "total" in shares:
            telemetry.add_own(shares)
        if isinstance(outcome, AgentError):
            status = self._status(record, outcome)
            answer, ending = Answer(error=error_body(outcome)), "error"
            log.warning("operation.failed", code=outcome.code, error=outcome.message)
        else:
            status, answer, ending = Status.SUCCEEDED, Answer(result=outcome), "end"
            log.info("operation.done", **{f"{k}_s": round(v, 4) for k, v in shares.items()})
        told = self._ending(record, ending, {"error": answer.error} if answer.error else answer.result or {})
        try:
            # Kept until it can be written: without its end nobody would be answered.
            await until_done(
                lambda: asyncio.shield(self.journal.finish(record.id, status, answer, told, shares)),
                may_pass=self._goes_on_after,
            )
        finally:
            self._doing.pop(record.id, None)
            self._count(-1)

    def _goes_on_after(self, failure: Exception) -> bool:
        return isinstance(failure, Unavailable) and not self._stopping

    def _status(self, record: OperationRecord, error: AgentError) -> Status:
        # What acts on a stuck operation isn't stuck itself.
        return Status.FAILED if record.method in self._control else STATUS_BY_ERROR.get(type(error), Status.FAILED)

    def _ending(self, record: OperationRecord, ending: str, data: dict[str, Any]) -> list[NewEvent]:
        """The operation that was acted on tells of itself; a control has no events of its own."""
        return [] if record.method in self._control else [event(record, ending, data)]


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
