"""The event stream: numbered without a gap, kept for replay, unsent until the broker confirms.

Called on the writer's thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import apsw

from agent.errors import NotFound
from agent.journal import generations
from agent.journal.columns import from_data, from_time, to_time
from agent.journal.records import EventRecord, NewEvent

Row = tuple[int, str, str | None, int, str]

SELECT = "SELECT sequence, type, subject, time, data FROM events "


@dataclass(frozen=True, slots=True)
class Stream:
    """Who speaks: the uuid made with the journal, and `/compute/<host>`."""

    uuid: UUID
    source: str

    def append(self, db: apsw.Connection, events: Sequence[NewEvent], at: datetime) -> list[EventRecord]:
        """Number them and keep them. The instance's present generation is put into `data` when it has none:
        only here is it certain which one holds when the event gets its number."""
        return [self._record(*row) for row in add(db, events, at)]

    def since(self, db: apsw.Connection, sequence: int, limit: int) -> list[EventRecord]:
        """From `sequence` on. Raises NotFound with `details.oldest` when that one isn't kept any more."""
        sequence = max(1, sequence)
        oldest = _oldest(db)
        if sequence < oldest:
            raise NotFound(
                f"events before {oldest} are not kept any more: read the states again, then replay from there",
                details={"oldest": oldest, "stream": str(self.uuid)},
            )
        rows = db.execute(SELECT + "WHERE sequence >= ? ORDER BY sequence LIMIT ?", (sequence, max(0, limit)))
        return self._records(rows)

    def unsent(self, db: apsw.Connection, limit: int) -> list[EventRecord]:
        """Oldest first."""
        rows = db.execute(SELECT + "WHERE sent = 0 ORDER BY sequence LIMIT ?", (max(0, limit),))
        return self._records(rows)

    def _records(self, rows: Iterable[Sequence[Any]]) -> list[EventRecord]:
        return [self._record(*row) for row in rows]

    def _record(self, sequence: int, kind: str, subject: str | None, time: int, data: str) -> EventRecord:
        return EventRecord(
            sequence=sequence,
            stream=self.uuid,
            source=self.source,
            type=kind,
            subject=None if subject is None else UUID(subject),
            time=to_time(time),
            data=json.loads(data),
        )


def add(db: apsw.Connection, events: Sequence[NewEvent], at: datetime) -> list[Row]:
    """As `append`, for those who need no records."""
    if not events:
        return []
    last = db.execute(
        "UPDATE journal SET last_sequence = last_sequence + ? RETURNING last_sequence", (len(events),)
    ).get
    rows = [_row(db, last - len(events) + n, event, at) for n, event in enumerate(events, start=1)]
    db.executemany("INSERT INTO events (sequence, type, subject, time, data) VALUES (?, ?, ?, ?, ?)", rows)
    return rows


def _row(db: apsw.Connection, sequence: int, event: NewEvent, at: datetime) -> Row:
    data = event.data
    if event.subject is not None and "generation" not in data:
        data = {**data, "generation": generations.get(db, event.subject)}
    subject = None if event.subject is None else str(event.subject)
    return (sequence, event.type, subject, from_time(at), from_data(data))


def sent(db: apsw.Connection, sequences: Sequence[int]) -> None:
    """The broker has them. Repeating is harmless."""
    db.executemany("UPDATE events SET sent = 1 WHERE sequence = ? AND sent = 0", [(s,) for s in sequences])


def _oldest(db: apsw.Connection) -> int:
    """The oldest kept, or the next one when none is."""
    return int(
        db.execute("SELECT coalesce((SELECT min(sequence) FROM events), last_sequence + 1) FROM journal").get
    )
