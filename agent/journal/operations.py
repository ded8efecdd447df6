"""The operations table and what hangs on it: steps and waiters. Called by `Journal` on the writer's thread.

    accept -> queued -begin-> running -finish-> succeeded | failed | cancelled
                 ^ \\----------finish---------->  unknown | stuck
                 |                                  |  |
                 \\------------- requeue -----------/  \\- abandon -> abandoned

While an operation is queued, running, unknown or stuck its state is kept; in all the others it is erased.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import apsw

from agent.errors import Conflict, InvalidRequest, Unavailable
from agent.journal import lookup, replies
from agent.journal.columns import (
    from_address,
    from_data,
    from_optional_time,
    from_time,
)
from agent.journal.records import (
    Acceptance,
    Accepted,
    Address,
    Answer,
    Different,
    NewOperation,
    OperationRecord,
    Repeated,
    Status,
)
from agent.saga import Mark

IDENTITY_LIMIT = 640
ENDS = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.UNKNOWN, Status.STUCK})
NO_FAILURES = frozenset({Status.SUCCEEDED, Status.CANCELLED})
WAITS_FOR_A_PERSON = frozenset({Status.UNKNOWN, Status.STUCK})


def accept(db: apsw.Connection, new: NewOperation, state: str, at: datetime, outbox_limit: int) -> Acceptance:
    """`state` is the sealed JSON of `new.state`. Raises InvalidRequest, Unavailable at the outbox's bound."""
    _check_identity(new.identity)
    first = db.execute(
        "SELECT number, id, fingerprint, method, answer FROM operations WHERE identity = ?", (new.identity,)
    ).fetchone()
    if first is not None:
        return _repeat(db, new, first)
    _refuse_at_bound(db, outbox_limit)
    return Accepted(_insert(db, new, state, at))


def _check_identity(identity: str) -> None:
    if not 1 <= len(identity) <= IDENTITY_LIMIT:
        raise InvalidRequest.field(
            "identity", f"is {len(identity)} characters long with its scope", f"use 1 to {IDENTITY_LIMIT}"
        )
    if not identity.isprintable():
        raise InvalidRequest.field("identity", "holds characters that can't be printed", "use printable ones")


def _repeat(db: apsw.Connection, new: NewOperation, first: tuple[Any, ...]) -> Acceptance:
    number, operation_id, fingerprint, method, answer = first
    if (fingerprint, method) != (new.fingerprint, new.method):
        return Different(UUID(operation_id))
    if answer is not None:
        return Repeated(UUID(operation_id), Answer.model_validate_json(answer))
    if new.address is not None and not new.address.only_failures:
        _add_waiter(db, number, new.address)
    return Repeated(UUID(operation_id), None)


def _refuse_at_bound(db: apsw.Connection, outbox_limit: int) -> None:
    unsent = db.execute("SELECT unsent FROM journal").get
    if unsent >= outbox_limit:
        raise Unavailable(
            f"{unsent} answers and events wait for the broker to confirm them; new changes are taken again "
            f"when they are fewer than {outbox_limit}",
            details={"unsent": unsent, "limit": outbox_limit},
        )


def _insert(db: apsw.Connection, new: NewOperation, state: str, at: datetime) -> OperationRecord:
    record = _queued(new, state, at)
    number = db.execute(
        "INSERT INTO operations (id, identity, fingerprint, method, saga, saga_version, instance_uuid, "
        "caller, status, accepted_at, not_after, if_generation, state) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?) RETURNING number",
        (
            str(record.id),
            record.identity,
            new.fingerprint,
            record.method,
            record.saga,
            record.saga_version,
            str(record.instance_uuid) if record.instance_uuid else None,
            record.caller.model_dump_json(),
            from_time(at),
            from_optional_time(record.not_after),
            record.if_generation,
            state,
        ),
    ).get
    _add_waiter(db, number, new.address)
    return record


def _queued(new: NewOperation, state: str, at: datetime) -> OperationRecord:
    """As it is read back."""
    return OperationRecord(
        id=uuid4(),
        identity=new.identity,
        method=new.method,
        saga=new.saga,
        saga_version=new.saga_version,
        instance_uuid=new.instance_uuid,
        caller=new.caller,
        status=Status.QUEUED,
        accepted_at=at,
        begun_at=None,
        ended_at=None,
        not_after=new.not_after,
        if_generation=new.if_generation,
        state=state,
        error=None,
        result=None,
        shares={},
        steps=(),
    )


def _add_waiter(db: apsw.Connection, number: int, address: Address | None) -> None:
    if address is not None:
        db.execute("INSERT OR IGNORE INTO waiters VALUES (?, ?)", (number, from_address(address)))


def begin(db: apsw.Connection, operation_id: UUID, at: datetime) -> None:
    """Running now; a resumed one keeps its first time of beginning. Raises NotFound, Conflict."""
    begun = db.execute(
        "UPDATE operations SET status = 'running', begun_at = coalesce(begun_at, ?) "
        "WHERE id = ? AND status IN ('queued', 'running') RETURNING number",
        (from_time(at), str(operation_id)),
    ).fetchall()
    _expect(db, begun, operation_id, "be begun")


def begin_step(db: apsw.Connection, operation_id: UUID, step: str, generation: int, at: datetime) -> None:
    """The first step of an operation that has just been begun, whose state is the accepted one but for its
    generation."""
    number = db.execute(
        "UPDATE operations SET state = json_set(state, '$.generation', ?) WHERE id = ? RETURNING number",
        (generation, str(operation_id)),
    ).get
    _mark(db, number, step, Mark.BEGUN, at)


@dataclass(frozen=True, slots=True)
class Marking:
    """A step's mark, with the state that goes with it (sealed JSON), and a step that was done before it."""

    step: str
    mark: Mark
    state: str
    done: str | None = None


def write_step(db: apsw.Connection, operation_id: UUID, change: Marking, at: datetime) -> None:
    """Raises NotFound; Conflict when the operation has ended: its state must stay erased."""
    updated = db.execute(
        "UPDATE operations SET state = ? WHERE id = ? AND status IN ('queued', 'running') RETURNING number",
        (change.state, str(operation_id)),
    ).fetchall()
    _expect(db, updated, operation_id, "go on")
    number = updated[0][0]
    if change.done is not None:
        _mark(db, number, change.done, Mark.DONE, at)
    _mark(db, number, change.step, change.mark, at)


def _mark(db: apsw.Connection, number: Any, step: str, mark: Mark, at: datetime) -> None:
    db.execute(
        "INSERT INTO steps (operation, name, position, mark, since, at) "
        "VALUES (:operation, :name, (SELECT count(*) FROM steps WHERE operation = :operation), :mark, :at, :at) "
        "ON CONFLICT (operation, name) DO UPDATE SET mark = :mark, at = :at, "
        "since = iif(:mark IN ('begun', 'undoing'), :at, since)",
        {"operation": number, "name": step, "mark": mark.value, "at": from_time(at)},
    )


@dataclass(frozen=True, slots=True)
class Upgrading:
    """`marks` by step, in the order of the table; `state` is sealed JSON."""

    version: int
    marks: Mapping[str, Mark]
    state: str


def upgrade(db: apsw.Connection, operation_id: UUID, change: Upgrading, at: datetime) -> None:
    """Steps that keep their name keep their times. Raises NotFound; Conflict when it has ended for good."""
    updated = db.execute(
        "UPDATE operations SET saga_version = ?, state = ? WHERE id = ? AND state IS NOT NULL RETURNING number",
        (change.version, change.state, str(operation_id)),
    ).fetchall()
    _expect(db, updated, operation_id, "be upgraded")
    number, names = updated[0][0], list(change.marks)
    gone = "DELETE FROM steps WHERE operation = ? AND name NOT IN (SELECT value FROM json_each(?))"
    db.execute(gone, (number, json.dumps(names)))
    for position, (name, mark) in enumerate(change.marks.items()):
        db.execute(
            "INSERT INTO steps (operation, name, position, mark, since, at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (operation, name) DO UPDATE SET mark = excluded.mark, position = excluded.position",
            (number, name, position, mark.value, from_time(at), from_time(at)),
        )


@dataclass(frozen=True, slots=True)
class Ending:
    """How an operation ended: `status` is one of ENDS, `shares` are seconds by name."""

    status: Status
    answer: Answer
    shares: Mapping[str, float]
    at: datetime

    def __post_init__(self) -> None:
        if self.status not in ENDS:
            raise ValueError(f"an operation doesn't end as {self.status}")


def finish(db: apsw.Connection, operation_id: UUID, ending: Ending) -> None:
    """Keep the answer, hand it to every waiter, erase the state. Raises NotFound, Conflict."""
    answer = ending.answer.model_dump_json()
    ended = db.execute(
        "UPDATE operations SET status = :status, ended_at = :at, answer = :answer, shares = :shares, "
        "state = iif(:keep, state, NULL) "
        "WHERE id = :id AND status IN ('queued', 'running') RETURNING number",
        {
            "status": ending.status.value,
            "at": from_time(ending.at),
            "answer": answer,
            "shares": from_data(ending.shares),
            "keep": ending.status in WAITS_FOR_A_PERSON,
            "id": str(operation_id),
        },
    ).fetchall()
    _expect(db, ended, operation_id, "end")
    if ending.status is Status.SUCCEEDED:
        db.execute(
            "UPDATE steps SET mark = 'done', at = ? WHERE operation = ? AND mark = 'begun'",
            (from_time(ending.at), ended[0][0]),
        )
    waiters = db.execute("DELETE FROM waiters WHERE operation = ? RETURNING address", ended[0]).fetchall()
    for (waiter,) in waiters:
        if ending.status not in NO_FAILURES or not Address.model_validate_json(str(waiter)).only_failures:
            replies.add(db, str(waiter), answer, ending.at)


def requeue(db: apsw.Connection, operation_id: UUID, undo: Sequence[str], at: datetime) -> None:
    """Stuck or unknown -> queued. Its first answer is forgotten: who repeats the request now waits for the
    new one. Raises NotFound, Conflict."""
    requeued = db.execute(
        "UPDATE operations SET status = 'queued', ended_at = NULL, answer = NULL "
        "WHERE id = ? AND status IN ('stuck', 'unknown') RETURNING number",
        (str(operation_id),),
    ).fetchall()
    _expect(db, requeued, operation_id, "be retried")
    for step in undo:
        db.execute(
            "UPDATE steps SET mark = 'undoing', at = :at, since = :at "
            "WHERE operation = :operation AND name = :name AND mark IN ('begun', 'done')",
            {"at": from_time(at), "operation": requeued[0][0], "name": step},
        )


def abandon(db: apsw.Connection, operation_id: UUID, at: datetime) -> None:
    """Stuck or unknown -> abandoned, state erased. Raises NotFound, Conflict."""
    abandoned = db.execute(
        "UPDATE operations SET status = 'abandoned', ended_at = ?, state = NULL "
        "WHERE id = ? AND status IN ('stuck', 'unknown') RETURNING number",
        (from_time(at), str(operation_id)),
    ).fetchall()
    _expect(db, abandoned, operation_id, "be abandoned")


def _expect(db: apsw.Connection, changed: list[Any], operation_id: UUID, wish: str) -> None:
    if changed:
        return
    status = db.execute("SELECT status FROM operations WHERE id = ?", (str(operation_id),)).get
    if status is None:
        raise lookup.unknown(operation_id)
    raise Conflict(f"operation {operation_id} is {status}: it can't {wish}", details={"status": status})
