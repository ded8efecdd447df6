"""Reads operations back: one, those that are unfinished, those that somebody looks for.

Called by `Journal` and `operations` on the writer's thread.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import apsw

from agent.errors import NotFound
from agent.journal.columns import to_optional_time, to_time
from agent.journal.records import Address, Answer, Caller, OperationRecord, Status, StepRecord
from agent.saga import Mark

# Written out: SQLite takes the partial index only for a condition that reads like the index's own.
UNFINISHED = "status IN ('queued', 'running')"
SELECT = (
    "SELECT number, id, identity, method, saga, saga_version, instance_uuid, caller, status, accepted_at, "
    "begun_at, ended_at, not_after, if_generation, state, answer, shares FROM operations "
)


def unknown(operation_id: UUID) -> NotFound:
    return NotFound(f"there is no operation {operation_id}", details={"operation_id": str(operation_id)})


def get(db: apsw.Connection, operation_id: UUID) -> OperationRecord:
    """Raises NotFound."""
    row = db.execute(SELECT + "WHERE id = ?", (str(operation_id),)).fetchone()
    if row is None:
        raise unknown(operation_id)
    return _record(row, _steps(db, [row]))


def unfinished(db: apsw.Connection) -> list[OperationRecord]:
    rows = db.execute(SELECT + f"WHERE {UNFINISHED} ORDER BY number").fetchall()
    steps = _steps(db, rows)
    return [_record(row, steps) for row in rows]


def waiting(db: apsw.Connection) -> list[tuple[Address, datetime]]:
    rows = db.execute(
        "SELECT address, accepted_at FROM waiters JOIN operations ON number = operation ORDER BY number"
    )
    return [(Address.model_validate_json(address), to_time(accepted_at)) for address, accepted_at in rows]


def pending(db: apsw.Connection) -> int:
    return int(db.execute(f"SELECT count(*) FROM operations WHERE {UNFINISHED}").get)  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Filter:
    """Which operations, newest first; None: any. `before` is the last one of the page before."""

    instance_uuid: UUID | None = None
    statuses: Sequence[Status] | None = None
    method: str | None = None
    limit: int = 100
    before: UUID | None = None


def find(db: apsw.Connection, wanted: Filter) -> list[OperationRecord]:
    """Raises NotFound when `before` isn't known."""
    conditions: dict[str, Any] = {}
    if wanted.instance_uuid is not None:
        conditions["instance_uuid = ?"] = str(wanted.instance_uuid)
    if wanted.method is not None:
        conditions["method = ?"] = wanted.method
    if wanted.statuses is not None:
        conditions["status IN (SELECT value FROM json_each(?))"] = json.dumps(list(wanted.statuses))
    if wanted.before is not None:
        conditions["number < ?"] = _number(db, wanted.before)
    where = "WHERE " + " AND ".join(conditions) if conditions else ""
    rows = db.execute(
        f"{SELECT} {where} ORDER BY number DESC LIMIT ?", (*conditions.values(), max(0, wanted.limit))
    ).fetchall()
    steps = _steps(db, rows)
    return [_record(row, steps) for row in rows]


def _number(db: apsw.Connection, operation_id: UUID) -> int:
    number = db.execute("SELECT number FROM operations WHERE id = ?", (str(operation_id),)).get
    if number is None:
        raise unknown(operation_id)
    return int(number)


def _record(row: tuple[Any, ...], steps: dict[int, list[StepRecord]]) -> OperationRecord:
    number, operation_id, identity, method, saga, saga_version, instance, caller, status = row[:9]
    accepted_at, begun_at, ended_at, not_after, if_generation, state, answer, shares = row[9:]
    told = Answer() if answer is None else Answer.model_validate_json(answer)
    return OperationRecord(
        id=UUID(operation_id),
        identity=identity,
        method=method,
        saga=saga,
        saga_version=saga_version,
        instance_uuid=None if instance is None else UUID(instance),
        caller=Caller.model_validate_json(caller),
        status=Status(status),
        accepted_at=to_time(accepted_at),
        begun_at=to_optional_time(begun_at),
        ended_at=to_optional_time(ended_at),
        not_after=to_optional_time(not_after),
        if_generation=if_generation,
        state=state,
        error=told.error,
        result=told.result,
        shares=json.loads(shares),
        steps=tuple(steps.get(number, ())),
    )


def _steps(db: apsw.Connection, operations: Sequence[tuple[Any, ...]]) -> dict[int, list[StepRecord]]:
    """The steps of all these rows by their operation's number, in one query."""
    steps: dict[int, list[StepRecord]] = {}
    rows = db.execute(
        "SELECT operation, name, mark, at, since FROM steps "
        "WHERE operation IN (SELECT value FROM json_each(?)) ORDER BY operation, position",
        (json.dumps([operation[0] for operation in operations]),),
    )
    for number, *step in rows:
        steps.setdefault(number, []).append(_step(*step))
    return steps


def _step(name: str, mark: str, at: int, since: int) -> StepRecord:
    under_way = mark in {Mark.BEGUN, Mark.UNDOING}
    # The clock may have been set back meanwhile.
    seconds = None if under_way else max(0, at - since) / 1e6
    return StepRecord(name, Mark(mark), to_time(at), seconds)
