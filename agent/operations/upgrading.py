"""What becomes of an operation that an agent with another table of its saga left unfinished.

the same version ------------------------> as it is
older, and its saga's `upgrades` lead up -> marks and state are mapped, journaled, and it goes on
else, its state can be read -------------> undone by today's table
else, nothing of it was begun -----------> failed
else ------------------------------------> stuck: a person sees it, and an agent that can read it retries it
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from agent.errors import AgentError, Internal, OperationFailed, OperationStuck
from agent.journal import Journal
from agent.journal.records import OperationRecord
from agent.operations.base import State
from agent.saga import Mark, Progress, Saga, upgraded

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Present(Generic[S]):
    """An operation in today's words. `undo`: why it is undone and not gone on with; None when it is as wanted."""

    state: S
    marks: dict[str, Mark]
    undo: str | None = None


async def present(journal: Journal, saga: Saga[Any, S], record: OperationRecord) -> Present[S]:
    """Journals it in today's words when it is mapped. Raises OperationStuck; OperationFailed when nothing of it
    was begun; Conflict when it has ended and its state is erased."""
    marks = {step.name: step.mark for step in record.steps}
    try:
        if record.saga_version == saga.version or record.state is None:
            return Present(journal.load_state(record, saga.state), marks)
        return await _mapped(journal, saga, record, marks) or _to_undo(journal, saga, record, marks)
    except Internal as failure:
        raise _unreadable(failure, marks) from failure


async def _mapped(
    journal: Journal, saga: Saga[Any, S], record: OperationRecord, marks: dict[str, Mark]
) -> Present[S] | None:
    try:
        was = Progress(record.saga_version, marks, json.loads(record.state or "{}"))
        found = upgraded(saga, was)
    except Exception as bug:
        raise Internal(f"{_of(saga, record)} could not be mapped to version {saga.version}: {bug!r}") from bug
    if found is None:
        return None
    state = journal.load_state(record, saga.state, json.dumps(found.state))
    await journal.upgrade(record.id, saga.version, found.marks, state)
    log.info("operation.upgraded", operation=str(record.id), was=was.version, now=saga.version)
    return Present(state, found.marks)


def _to_undo(journal: Journal, saga: Saga[Any, S], record: OperationRecord, marks: dict[str, Mark]) -> Present[S]:
    """Today's table has to know each step that was begun: one it doesn't know would be left as it is."""
    state = journal.load_state(record, saga.state)
    if strange := marks.keys() - {step.name for step in saga.steps}:
        raise Internal(f"{_of(saga, record)} had steps that this agent doesn't know: {', '.join(sorted(strange))}")
    why = f"an agent of another version left it as {_of(saga, record)}, which this one can't go on with"
    return Present(state, marks, why)


def _of(saga: Saga[Any, Any], record: OperationRecord) -> str:
    return f"{saga.name} version {record.saga_version}"


def _unreadable(failure: Internal, marks: dict[str, Mark]) -> AgentError:
    if not marks:
        return OperationFailed(f"{failure.message}; nothing was begun")
    return OperationStuck(
        f"{failure.message}; what was begun stays: retry it with an agent that can read it, or give it up",
        details={"steps": list(marks)},
    )
