"""Multi-step operations that either finish or are undone.

A saga is a table of named steps. A step takes the saga's state and returns the next one; the state is all
that the steps share and all that is journaled.

    begun -> done -> undoing -> undone
      |                 ^  \\-> stuck
      +-----------------+

Two rules make this work:

* `do` is safe to run twice;
* `undo` copes with nothing, part or all of `do` having happened.

So the failing step is undone too, and what a killed agent left is handled the same way: its marks say
which steps were begun, and they are done again, or undone, without asking how far they had come. The price
is that things get their names before they are made.

A third is for calls that were given up: they may take effect late. Nothing is undone before `settled` has
returned; when it doesn't in time, the outcome stays unknown.

A cancelled step is no failure: either the agent is stopping (the journal keeps the saga and it is resumed
at the next start) or the caller cancelled the operation, and then the runner is told to unwind.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import stamina
import structlog
from pydantic import BaseModel

from agent import deadline
from agent.errors import AgentError, Internal, OperationStuck, TimedOut
from agent.patience import until_done

log = structlog.get_logger(__name__)

UNDO_S = 300.0
"""Seconds that undoing may take; the operation's own time may be up when it begins."""

E = TypeVar("E")  # what the steps may use
S = TypeVar("S", bound=BaseModel)  # what the steps know


class Mark(enum.StrEnum):
    BEGUN = "begun"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Step(Generic[E, S]):
    """One named step. A step without `undo` has a comment in its table saying why none is needed."""

    name: str
    do: Callable[[E, S], Awaitable[S]]
    undo: Callable[[E, S], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an unfinished saga is, in the words of one version of its table. `state` is JSON; secrets in it are
    sealed."""

    version: int
    marks: dict[str, Mark]
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """From one version of a saga's table to the next: what an older agent left can be gone on with.

    `marks` gives each step of the next table that what was done stands for: one that was split has two; one that
    is new and has to be done has none. `state` passes sealed secrets on as they are.
    """

    marks: Callable[[dict[str, Mark]], dict[str, Mark]] = dict
    state: Callable[[dict[str, Any]], dict[str, Any]] = dict


@dataclass(frozen=True, slots=True)
class Saga(Generic[E, S]):
    """`version` goes up when the table or the state changes; `upgrades[n]` then leads from version n to n + 1.
    Where none does, what an agent with that version left is undone."""

    name: str
    state: type[S]
    steps: tuple[Step[E, S], ...]
    version: int = 1
    upgrades: Mapping[int, Upgrade] = field(default_factory=dict)


def upgraded(saga: Saga[E, S], progress: Progress) -> Progress | None:
    """In the words of today's table; None when `upgrades` don't lead there. Raises what an upgrade raises."""
    while progress.version != saga.version:
        upgrade = saga.upgrades.get(progress.version)
        if upgrade is None or progress.version > saga.version:
            return None
        marks, state = upgrade.marks(progress.marks), upgrade.state(progress.state)
        progress = Progress(progress.version + 1, marks, state)
    return progress


class Entry(Protocol):
    """The journal of one saga. `done`: a step that was done and not written as that yet; all or nothing."""

    async def write(self, step: str, mark: Mark, state: BaseModel, done: str | None = None) -> None: ...


def _may_pass(failure: Exception) -> bool:
    return isinstance(failure, AgentError) and failure.retryable


async def _nothing_hangs() -> None:
    """For sagas none of whose calls can be given up."""


@dataclass(slots=True)
class Run(Generic[E, S]):
    """One run of a saga: what it may use, where it is written, how far it is.

    `marks` begins with what an earlier run had written; `state` with the last state of that run. `settled` returns
    when no call that was given up can take effect any more, and raises Unavailable when it doesn't know. `noted`
    is a step whose `begun` is written already, by who began the operation.

    That a step is done is written together with what comes next, at the cost of one sync for both: the next step's
    `begun`, or the end of the saga, which is for the caller to write. Killed before that, it is done again.
    """

    saga: Saga[E, S]
    env: E
    journal: Entry
    state: S
    marks: dict[str, Mark] = field(default_factory=dict)
    settled: Callable[[], Awaitable[None]] = _nothing_hangs
    noted: str | None = None
    _done: str | None = None

    async def forward(self) -> S:
        """Do every step not done yet. If one fails, undo it and those before it, newest first.

        Raises the step's AgentError after all was undone (anything else becomes `internal`);
        OperationStuck when an undo failed; TimedOut, with nothing undone, when a step's outcome is and stays
        unknown.
        """
        for step in self.saga.steps:
            if self.marks.get(step.name) is Mark.DONE:
                continue
            try:
                await self._do(step)
            except TimedOut:
                # Undoing what may still be happening makes ghosts: the owner reads the live state first.
                raise
            except AgentError as failure:
                log.warning("saga.failed", saga=self.saga.name, step=step.name, error=failure.message)
                await self.backward()
                raise
            except Exception as failure:
                # A bug in a step must not leave half a guest behind.
                log.exception("saga.bug", saga=self.saga.name, step=step.name)
                await self.backward()
                raise Internal(f"{self.saga.name}: {step.name} failed by a bug of the agent") from failure
        return self.state

    async def backward(self) -> None:
        """Undo every step that was begun, newest first. Raises OperationStuck; TimedOut, with nothing undone, when
        it doesn't settle."""
        if self.marks:
            await self.settle()
        with deadline.afresh(UNDO_S):
            for step in reversed(self.saga.steps):
                if step.name in self.marks and self.marks[step.name] is not Mark.UNDONE:
                    await self._undo(step)

    async def settle(self) -> None:
        """Wait until what was begun is either done or not. Raises TimedOut after UNDO_S."""
        try:
            # As patient as an undo: libvirt may be away.
            async for attempt in stamina.retry_context(on=_may_pass, attempts=None, timeout=UNDO_S):
                with attempt, deadline.afresh(UNDO_S):
                    await self.settled()
        except AgentError as failure:
            raise TimedOut(f"{failure.message}; what was begun stays until the operation is retried") from failure

    async def _do(self, step: Step[E, S]) -> None:
        if step.name != self.noted:
            await self._mark(step, Mark.BEGUN)
        self.state = await step.do(self.env, self.state)
        self.marks[step.name] = Mark.DONE
        self._done = step.name

    async def _undo(self, step: Step[E, S]) -> None:
        if step.undo is None:
            return
        await self._mark_at_last(step, Mark.UNDOING)
        try:
            # What is away comes back: giving up at once would need a person for every restart of libvirtd.
            async for attempt in stamina.retry_context(
                on=_may_pass, attempts=None, timeout=deadline.remaining(UNDO_S)
            ):
                with attempt:
                    await step.undo(self.env, self.state)
        except Exception as failure:
            await self._mark_at_last(step, Mark.STUCK)
            raise OperationStuck(
                f"{self.saga.name}: step {step.name} could not be undone: {failure}",
                details={"step": step.name},
            ) from failure
        await self._mark_at_last(step, Mark.UNDONE)

    async def _mark_at_last(self, step: Step[E, S], mark: Mark) -> None:
        """Wait for a journal that can't be written: undone without a mark, it would be taken for done later,
        and left without an undo, for undone."""
        await until_done(lambda: self._mark(step, mark), may_pass=_may_pass)

    async def _mark(self, step: Step[E, S], mark: Mark) -> None:
        done = self._done if self._done != step.name else None
        await self.journal.write(step.name, mark, self.state, done)
        self.marks[step.name] = mark
        self._done = None
