"""Runs operations: from the journal, through the instance's mailbox, to the answer in the journal.

    accept   journaled (durable), then submitted          the edge may acknowledge
    turn     generation, deadline, admission              refused: answered, nothing begun
    run      the saga, each step journaled                failed: undone
    finish   answer and `.end` or `.error` event, in one transaction

After a restart `recover` submits what the journal has unfinished. An operation that had begun goes on
where its marks say, without asking admission again: the state it left half changed is its own.
"""

from __future__ import annotations

import asyncio
import time
import uuid as uuids
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import structlog

from agent import deadline, telemetry
from agent.admission import AlreadySo, Deny
from agent.errors import (
    AgentError,
    Busy,
    Cancelled,
    Conflict,
    Expired,
    Internal,
    NotFound,
    OperationStuck,
    TimedOut,
)
from agent.hypervisor.ports import DomainView, Hypervisor
from agent.instances import Instances, Job
from agent.journal import Journal
from agent.journal.records import Acceptance, Accepted, Answer, NewEvent, NewOperation, OperationRecord, Status
from agent.operations import TABLE
from agent.operations.base import Env, Operation, State
from agent.saga import Mark, Run, Saga

log = structlog.get_logger(__name__)

STATUS_BY_ERROR: dict[type[AgentError], Status] = {
    Cancelled: Status.CANCELLED,
    TimedOut: Status.UNKNOWN,
    OperationStuck: Status.STUCK,
}
"""How an operation that ended in this error is kept; any other error is `failed`."""


RETRYABLE = (Status.STUCK, Status.UNKNOWN)
"""What a person may have undone again, or give up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds an operation may take, and how many may be unfinished."""

    spawn_timeout_s: float
    operation_timeout_s: float
    max_pending: int


@dataclass(slots=True)
class Doing:
    """How far a running operation is, as far as it tells."""

    what: str = ""
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell while an operation runs; ephemeral."""

    record: OperationRecord
    what: str
    progress: float


class Operations:
    """One for the agent. `tell` is given progress, to publish as it likes; it must not block."""

    def __init__(
        self,
        journal: Journal,
        hypervisor: Hypervisor,
        instances: Instances,
        limits: Limits,
        tell: Callable[[Told], None],
        control: Mapping[str, Saga[Operations, Any]],
    ) -> None:
        self.journal = journal
        self.hypervisor = hypervisor
        self._instances = instances
        self.limits = limits
        self.tell = tell
        self._control = control
        self._controlling: set[asyncio.Task[None]] = set()
        self._doing: dict[UUID, Doing] = {}
        self._pending = 0
        self._room = asyncio.Event()
        self._room.set()

    # Room: at most `max_pending` unfinished, the rest waits in the broker.

    def has_room(self) -> bool:
        return self._room.is_set()

    async def wait_for_room(self) -> None:
        await self._room.wait()

    def progressed(self, told: Told) -> None:
        self._doing[told.record.id] = Doing(told.what, told.progress)
        self.tell(told)

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
        for record in unfinished:
            await self._submit(record)
        return len(unfinished)

    async def settle(self, operation_id: UUID) -> OperationRecord:
        """Settle a stuck or unknown operation and wait for its end. Raises NotFound, Conflict."""
        record = await self.journal.operation(operation_id)
        if record.status not in RETRYABLE:
            raise Conflict(f"operation {operation_id} is {record.status.value}, not stuck")
        await self.journal.requeue(operation_id)
        # What has no undo is tried again instead: its steps may run twice.
        undo = TABLE[record.method].can_be_undone
        job = await self._submit(await self.journal.operation(operation_id), undo=undo)
        if job is not None:
            await job.ended.wait()
        return await self.journal.operation(operation_id)

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
        if record.status not in RETRYABLE:
            raise Conflict(f"operation {operation_id} is {record.status.value}, not stuck")
        await self.journal.abandon(operation_id, [])
        return await self.journal.operation(operation_id)

    async def stop(self) -> None:
        """Stop all work where it stands; the journal has how far it is."""
        for task in tuple(self._controlling):
            task.cancel()
        await self._instances.stop()

    async def _submit(self, record: OperationRecord, *, undo: bool = False) -> Job | None:
        self._count(+1)
        if record.method in self._control:
            self._start_control(record)
            return None
        operation = TABLE[record.method]
        job = Job(
            operation_id=record.id,
            method=record.method,
            run=lambda job: self._perform(record, Turn(self, operation, record, job).take(undo)),
            request_id=record.caller.request_id,
            preempts=operation.preempts,
            resumed=bool(record.steps),
        )
        assert record.instance_uuid is not None  # noqa: S101 - every operation in the table has one
        try:
            self._instances.submit(record.instance_uuid, job)
        except Busy as refusal:
            await self._finish(record, refusal, {})
            return None
        return job

    def _start_control(self, record: OperationRecord) -> None:
        task = asyncio.create_task(self._perform(record, self._do_control(record)))
        self._controlling.add(task)
        task.add_done_callback(self._controlling.discard)

    async def _do_control(self, record: OperationRecord) -> dict[str, Any]:
        saga = self._control[record.method]
        state = self.journal.load_state(record, saga.state)
        await Run(saga, self, self.journal.entry(record.id), state).forward()
        return {"operation_id": str(record.id)}

    def _count(self, change: int) -> None:
        self._pending += change
        if self._pending < self.limits.max_pending:
            self._room.set()
        else:
            self._room.clear()

    async def _perform(self, record: OperationRecord, work: Coroutine[Any, Any, dict[str, Any]]) -> None:
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
            shares["total"] = time.monotonic() - began
            shares["queued"] = max(0.0, queued)
            await self._finish(record, outcome, shares)

    async def _finish(
        self, record: OperationRecord, outcome: dict[str, Any] | AgentError, shares: dict[str, float]
    ) -> None:
        """Write the end; shielded, so that a stop in this moment can't separate work and answer."""
        if "total" in shares:
            others = sum(v for name, v in shares.items() if name not in ("total", "queued"))
            shares["own"] = max(0.0, shares["total"] - others)
        if isinstance(outcome, AgentError):
            status = self._status(record, outcome)
            answer, ending = Answer(error=error_body(outcome)), "error"
            log.warning("operation.failed", code=outcome.code, error=outcome.message)
        else:
            status, answer, ending = Status.SUCCEEDED, Answer(result=outcome), "end"
            log.info("operation.done", **{f"{k}_s": round(v, 4) for k, v in shares.items()})
        told = self._ending(record, ending, {"error": answer.error} if answer.error else answer.result or {})
        try:
            await asyncio.shield(self.journal.finish(record.id, status, answer, told, shares))
        finally:
            self._doing.pop(record.id, None)
            self._count(-1)

    def _status(self, record: OperationRecord, error: AgentError) -> Status:
        # What acts on a stuck operation isn't stuck itself.
        return Status.FAILED if record.method in self._control else STATUS_BY_ERROR.get(type(error), Status.FAILED)

    def _ending(self, record: OperationRecord, ending: str, data: dict[str, Any]) -> list[NewEvent]:
        """The operation that was acted on tells of itself; a control has no events of its own."""
        return [] if record.method in self._control else [self.event(record, ending, data)]

    @staticmethod
    def event(record: OperationRecord, ending: str, data: dict[str, Any]) -> NewEvent:
        caller = record.caller.model_dump(exclude_none=True)
        return NewEvent(
            type=f"compute.instance.{record.method}.{ending}",
            subject=record.instance_uuid,
            data={**data, **caller, "operation_id": str(record.id)},
        )


@dataclass(slots=True)
class Turn:
    """One operation whose turn has come."""

    operations: Operations
    operation: Operation[Any]
    record: OperationRecord
    job: Job

    async def take(self, undo: bool) -> dict[str, Any]:
        """The result, as JSON. Raises AgentError; CancelledError when the agent is stopping."""
        journal = self.operations.journal
        state: State = journal.load_state(self.record, self.operation.saga.state)
        marks = {step.name: step.mark for step in self.record.steps}
        run = Run(self.operation.saga, self._env(), journal.entry(self.record.id), state, marks)
        try:
            return await self._advance(run, undo)
        except asyncio.CancelledError:
            if self.job.cancelled is None:
                raise
            await self._give_up(run, f"cancelled: {self.job.cancelled}")
            raise AssertionError("unreachable") from None

    async def _advance(self, run: Run[Env, Any], undo: bool) -> dict[str, Any]:
        if self.job.cancelled is not None:
            await self._give_up(run, f"cancelled: {self.job.cancelled}")
        if undo or Mark.UNDOING in run.marks.values() or Mark.STUCK in run.marks.values():
            await self._give_up(run, "it was given up")
        return await (self._resume(run) if run.marks else self._begin(run))

    async def _give_up(self, run: Run[Env, Any], why: str) -> NoReturn:
        """Undo what was begun. Raises Cancelled, or OperationStuck."""
        begun = bool(run.marks)
        await run.backward()
        if not begun:
            raise Cancelled(f"{why}; nothing was begun")
        if self.operation.can_be_undone:
            raise Cancelled(f"{why}; all was undone")
        message = f"{why}; {self.record.method} has no undo, what was done stays: read the instance"
        raise Cancelled(message, details={"undone": False})

    async def _begin(self, run: Run[Env, Any]) -> dict[str, Any]:
        self._check_time()
        view = await self._look()
        await self._check_generation(view)
        decision = self.operation.admit(run.state, view)
        if isinstance(decision, Deny):
            raise (NotFound if decision.absent else Conflict)(decision.reason)
        if isinstance(decision, AlreadySo):
            return await self._result(run.state, view.generation if view else None, already=True)
        journal = self.operations.journal
        uuid = run.state.instance_uuid
        generation = await journal.bump(uuid, at_least=view.generation if view else 0)
        run.state = run.state.model_copy(update={"generation": generation})
        await journal.begin(
            self.record.id, [self.operations.event(self.record, "start", {"generation": generation})]
        )
        log.info("operation.begun", operation=str(self.record.id))
        return await self._go(run)

    async def _resume(self, run: Run[Env, Any]) -> dict[str, Any]:
        log.info("operation.resumed", operation=str(self.record.id), marks=run.marks)
        late = self.record.not_after is not None and datetime.now(UTC) > self.record.not_after
        if late and self.operation.can_be_undone:
            await run.backward()
            raise Expired("not_after passed while the agent was away; all that was begun was undone")
        # What has no undo was begun in time and is finished.
        return await self._go(run)

    async def _go(self, run: Run[Env, Any]) -> dict[str, Any]:
        limits = self.operations.limits
        default = limits.spawn_timeout_s if self.record.method == "spawn" else limits.operation_timeout_s
        with deadline.within(self.operation.timeout_s(run.state, default)):
            state = await run.forward()
        domains = self.operations.hypervisor.domains
        await domains.stamp(state.instance_uuid, state.generation, self.record.caller.request_id)
        return await self._result(state, state.generation, already=False)

    async def _look(self) -> DomainView | None:
        assert self.record.instance_uuid is not None  # noqa: S101
        try:
            return await self.operations.hypervisor.domains.get(self.record.instance_uuid)
        except NotFound:
            return None

    def _check_time(self) -> None:
        if self.record.not_after is not None and datetime.now(UTC) > self.record.not_after:
            raise Expired(f"not_after {self.record.not_after.isoformat()} has passed; nothing was begun")

    async def _check_generation(self, view: DomainView | None) -> None:
        asked = self.record.if_generation
        if asked is None:
            return
        # The domain's copy counts when the journal was lost, the journal when the domain couldn't be stamped.
        known = await self.operations.journal.generation(view.uuid) if view else 0
        there = max(known, view.generation) if view else 0
        if asked != there:
            message = f"the instance is at generation {there}, not {asked}; read it again"
            raise Conflict(message, details={"generation": there})

    def _env(self) -> Env:
        return Env(
            hypervisor=self.operations.hypervisor,
            progress=self._progress,
            operation_id=self.record.id,
            request_id=self.record.caller.request_id,
        )

    def _progress(self, what: str, fraction: float) -> None:
        self.operations.progressed(Told(self.record, what, fraction))

    async def _result(self, state: Any, generation: int | None, *, already: bool) -> dict[str, Any]:
        view = await self._look()
        result = {
            "operation_id": str(self.record.id),
            "instance_uuid": str(state.instance_uuid),
            "generation": generation,
            "power_state": view.power_state.value if view else None,
            "already": already,
            "attached": self.operation.attached(state),
        }
        return {name: value for name, value in result.items() if value is not None}


def error_body(error: AgentError) -> dict[str, Any]:
    """The `error` of an answer."""
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "details": error.details,
        "incident": error.incident,
    }


def bug() -> Internal:
    """An error for the exception being handled; the log has its traceback under the incident's number."""
    incident = uuids.uuid4().hex[:12]
    log.exception("bug", incident=incident)
    return Internal(f"a bug of the agent; report incident {incident}", incident=incident)
