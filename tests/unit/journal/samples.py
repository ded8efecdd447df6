"""Requests, states and a clock for the journal's tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw

from agent.journal import Accepted, Address, Caller, Journal, NewEvent, NewOperation, OperationRecord
from agent.secret import Secret
from agent.spec import Frozen

INSTANCE = UUID("11111111-2222-3333-4444-555555555555")
OTHER = UUID("99999999-8888-7777-6666-555555555555")


class State(Frozen):
    instance: UUID = INSTANCE
    admin_pass: Secret | None = None
    made: tuple[str, ...] = ()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


def address(name: str) -> Address:
    return Address(format="plain", reply_to="answers", correlation_id=name)


def request(identity: str = "user:1", **changes: Any) -> NewOperation:
    values: dict[str, Any] = {
        "identity": identity,
        "fingerprint": "f1",
        "method": "start",
        "saga": "start",
        "saga_version": 1,
        "state": State(),
        "instance_uuid": INSTANCE,
        "caller": Caller(request_id="req-1"),
        "address": address(identity),
    }
    return NewOperation(**(values | changes))


async def accepted(journal: Journal, identity: str = "user:1", **changes: Any) -> OperationRecord:
    acceptance = await journal.accept(request(identity, **changes))
    assert isinstance(acceptance, Accepted)
    return acceptance.operation


def event(kind: str = "compute.instance.start.end", subject: UUID | None = INSTANCE, **data: Any) -> NewEvent:
    return NewEvent(type=kind, subject=subject, data=data)


@contextmanager
def reading(path: Path) -> Iterator[apsw.Connection]:
    """The file as somebody else sees it."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        yield db
    finally:
        db.close()


def raw(directory: Path) -> bytes:
    """All bytes of the journal's files: database, write-ahead log, shared memory."""
    return b"".join(file.read_bytes() for file in sorted(directory.glob("journal.db*")))
