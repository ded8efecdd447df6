"""One operation whose turn has come: is it still wanted, may it be, do it, or undo it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import structlog

from agent import deadline
from agent.admission import AlreadySo, Deny
from agent.errors import AgentError, Cancelled, Conflict, Expired, NotFound, OperationFailed, TimedOut, Unavailable
from agent.hypervisor.ports import DomainView, Hypervisor
from agent.instances import Job
from agent.journal import Journal
from agent.journal.records import OperationRecord, Status
from agent.operations.base import Env, Operation, State
from agent.operations.outcome import event
from agent.operations.upgrading import present
from agent.saga import Mark, Run
from agent.spec import PowerState

log = structlog.get_logger(__name__)


BACKWARD = {Mark.UNDOING, Mark.UNDONE, Mark.STUCK}
"""Marks of an operation that was being undone: it is never gone on with."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds an operation may take, and how many may be unfinished."""

    spawn_timeout_s: float
    operation_timeout_s: float
    max_pending: int
    hangs_s: float = 5.0
    """After which what is under way on an instance that is to be destroyed is broken off, and again and again."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What every turn stands on. `progressed` is told by the steps how far they are; `clear_up` is asked, once the
    instance has settled, to undo what an operation of unknown outcome left, on behalf of a job; `end_earlier`,
    once all of an instance is gone, to end its stuck and unknown operations."""

    journal: Journal
    hypervisor: Hypervisor
    limits: Limits
    progressed: Callable[[OperationRecord, str, float], None]
    clear_up: Callable[[UUID, Job], Awaitable[None]]
    end_earlier: Callable[[UUID, Job], Awaitable[None]]


@dataclass(slots=True)
class Turn:
    """`take` it once."""

    ground: Ground
    operation: Operation[Any]
    record: OperationRecord
    job: Job

    async def take(self, undo: str | None = None) -> dict[str, Any]:
        """The result, as JSON; `undo` says why it is undone instead. Raises AgentError; CancelledError when the
        agent is stopping."""
        journal, saga = self.ground.journal, self.operation.saga
        now = await present(journal, saga, self.record)
        entry = journal.entry(self.record.id)
        run = Run(saga, self._env(), entry, now.state, now.marks, settled=self._settled)
        try:
            return await self._advance(run, undo or now.undo)
        except asyncio.CancelledError:
            if self.job.cancelled is None:
                raise
            return await self._give_up(run, f"cancelled: {self.job.cancelled}")

    async def _settled(self) -> None:
        await self.ground.hypervisor.domains.settle(self._uuid)

    @property
    def _uuid(self) -> UUID:
        assert self.record.instance_uuid is not None  # noqa: S101 - every operation in the table has one
        return self.record.instance_uuid

    async def _advance(self, run: Run[Env, Any], undo: str | None) -> dict[str, Any]:
        if self.job.cancelled is not None:
            await self._give_up(run, f"cancelled: {self.job.cancelled}")
        if undo is not None:
            await self._give_up(run, undo)
        if BACKWARD & set(run.marks.values()):
            await run.backward()
            raise OperationFailed("it had failed or been cancelled before the agent was restarted; all was undone")
        if run.marks:
            return await self._resume(run)
        self._check_time()
        await self._wait_for_the_last()
        if self.job.cancelled is not None:  # meanwhile, and who was at work then has taken it for his own end
            await self._give_up(run, f"cancelled: {self.job.cancelled}")
        return await self._begin(run)

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
        view = await self._first_look()
        again = self.record.begun_at is not None
        if not again:
            # It has moved the generation on and told its start already; an older agent began its first step apart.
            await self._check_generation(view)
        decision = self.operation.admit(run.state, view)
        if isinstance(decision, Deny):
            raise (NotFound if decision.absent else Conflict)(decision.reason)
        if isinstance(decision, AlreadySo):
            await self._refuse_if_half_undone()
            return await self._result(run.state, await self._generation(view), already=True)
        journal = self.ground.journal
        uuid = run.state.instance_uuid
        told = [] if again else [event(self.record, "start", {})]
        first = self.operation.saga.steps[0].name
        generation = await journal.begin_change(
            self.record.id, uuid, told, view.generation if view else 0, step=first
        )
        run.state = run.state.model_copy(update={"generation": generation})
        run.noted, run.marks = first, {first: Mark.BEGUN}
        log.debug("operation.begun", operation=str(self.record.id))
        return await self._go(run)

    async def _refuse_if_half_undone(self) -> None:
        """What is there may be what a failed undo left: nobody is told that it is his."""
        if not self.operation.can_be_undone:
            return
        stuck = await self.ground.journal.operations(
            instance_uuid=self._uuid, method=self.record.method, statuses=[Status.STUCK], limit=1
        )
        if stuck:
            message = f"{self.record.method} {stuck[0].id} is stuck, and what is there may be left of it"
            mend = "retry or abandon that operation, or destroy the instance"
            raise Conflict(f"{message}: {mend}", details={"operation_id": str(stuck[0].id)})

    async def _wait_for_the_last(self) -> None:
        """Until no call of an earlier operation can take effect any more, and nothing invisible is left of it."""
        try:
            await self._settled()
            await self.ground.clear_up(self._uuid, self.job)
            await self._settled()
        except (TimedOut, Unavailable) as error:
            raise Unavailable(f"{error.message}; nothing was begun", details=error.details) from error

    async def _resume(self, run: Run[Env, Any]) -> dict[str, Any]:
        log.info("operation.resumed", operation=str(self.record.id), marks=run.marks)
        await run.settle()
        late = self.record.not_after is not None and datetime.now(UTC) > self.record.not_after
        if late and self.operation.can_be_undone:
            await run.backward()
            raise Expired("not_after passed while the agent was away; all that was begun was undone")
        # What has no undo was begun in time and is finished.
        return await self._go(run)

    async def _go(self, run: Run[Env, Any]) -> dict[str, Any]:
        limits = self.ground.limits
        default = limits.spawn_timeout_s if self.record.method == "spawn" else limits.operation_timeout_s
        with deadline.within(self.operation.timeout_s(run.state, default)):
            state = await run.forward()
        if self.operation.ends_earlier(state):
            await self.ground.end_earlier(self._uuid, self.job)
        await self._stamp(state)
        return await self._result(state, state.generation, already=False)

    async def _stamp(self, state: State) -> None:
        """Best effort: all is done, and the journal has the generation; the domain's copy is for its loss."""
        domains = self.ground.hypervisor.domains
        try:
            await domains.stamp(state.instance_uuid, state.generation, self.record.caller.request_id)
        except AgentError as error:
            log.warning("generation.not_stamped", error=error.message)

    async def _first_look(self) -> DomainView | None:
        try:
            return await self._look()
        except TimedOut as error:
            # No outcome is unknown: nothing was begun.
            raise Unavailable(f"{error.message}; nothing was begun") from error

    async def _look(self) -> DomainView | None:
        try:
            return await self.ground.hypervisor.domains.get(self._uuid)
        except NotFound:
            return None

    def _check_time(self) -> None:
        if self.record.not_after is not None and datetime.now(UTC) > self.record.not_after:
            raise Expired(f"not_after {self.record.not_after.isoformat()} has passed; nothing was begun")

    async def _check_generation(self, view: DomainView | None) -> None:
        asked = self.record.if_generation
        if asked is None:
            return
        there = await self._generation(view) or 0
        if asked != there:
            message = f"the instance is at generation {there}, not {asked}; read it again"
            raise Conflict(message, details={"generation": there})

    async def _generation(self, view: DomainView | None) -> int | None:
        """None when the instance isn't there. The domain's copy counts when the journal was lost, the journal
        when the domain couldn't be stamped or what had its own generation failed."""
        if view is None:
            return None
        return max(view.generation, await self.ground.journal.generation(view.uuid))

    def _env(self) -> Env:
        return Env(
            hypervisor=self.ground.hypervisor,
            progress=self._progress,
            operation_id=self.record.id,
            request_id=self.record.caller.request_id,
        )

    def _progress(self, what: str, fraction: float) -> None:
        self.ground.progressed(self.record, what, fraction)

    async def _result(self, state: Any, generation: int | None, *, already: bool) -> dict[str, Any]:
        result = {
            "operation_id": str(self.record.id),
            "instance_uuid": str(state.instance_uuid),
            "generation": generation,
            "power_state": await self._power_state(),
            "already": already,
            "attached": self.operation.attached(state),
        }
        return {name: value for name, value in result.items() if value is not None}

    async def _power_state(self) -> str | None:
        """As it is now, None when the instance is gone. That it can't be asked is no failure of what was done."""
        try:
            view = await self._look()
        except AgentError:
            return PowerState.UNKNOWN.value
        return view.power_state.value if view else None
