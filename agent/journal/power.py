"""The last known power state of each instance, so that what changed while the agent was away can be told.

Called on the writer's thread.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import apsw

from agent.journal.columns import from_time, to_time

Known = tuple[str, datetime]
"""A power state and when it was recorded."""


def get(db: apsw.Connection, uuid: UUID) -> Known | None:
    row = db.execute("SELECT state, at FROM power WHERE instance = ?", (str(uuid),)).fetchone()
    return None if row is None else (row[0], to_time(row[1]))


def every(db: apsw.Connection) -> dict[UUID, Known]:
    return {
        UUID(uuid): (state, to_time(at)) for uuid, state, at in db.execute("SELECT instance, state, at FROM power")
    }


def record(db: apsw.Connection, uuid: UUID, state: str | None, at: datetime) -> None:
    """None forgets the instance."""
    if state is None:
        db.execute("DELETE FROM power WHERE instance = ?", (str(uuid),))
    else:
        db.execute("INSERT OR REPLACE INTO power VALUES (?, ?, ?)", (str(uuid), state, from_time(at)))
