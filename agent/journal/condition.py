"""How the journal is: for who looks after the agent. Called on the writer's thread."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import apsw

from agent.journal.columns import to_optional_time

FIRST_EVENT = "SELECT time FROM events WHERE sent = 0 ORDER BY sequence"
FIRST_REPLY = "SELECT created_at FROM replies ORDER BY id"
CHANGE_BYTES = 128 * 1024
"""What a change takes in the journal, generously."""
NOBODY = "no instance, but as long as its uuid"


@dataclass(frozen=True, slots=True)
class Condition:
    """`waiting`: answers and events that the broker hasn't confirmed; `oldest`: when the oldest was written;
    `bytes` on the disk, with the write-ahead log."""

    waiting: int
    oldest: datetime | None
    bytes: int


def look(db: apsw.Connection) -> Condition:
    waiting = int(db.execute("SELECT unsent FROM journal").get)
    firsts = [db.execute(f"{first} LIMIT 1").get for first in (FIRST_EVENT, FIRST_REPLY)]
    oldest = min((at for at in firsts if at is not None), default=None)
    return Condition(waiting, to_optional_time(oldest), _bytes(Path(db.filename)))


def try_room(db: apsw.Connection) -> None:
    """Writes as much as a change takes, and removes it: what is left are free pages, for the next change. They go
    through the log as erased is overwritten."""
    db.execute("INSERT INTO power (instance, state, at) VALUES (?, ?, 0)", (NOBODY, "0" * CHANGE_BYTES))
    db.execute("DELETE FROM power WHERE instance = ?", (NOBODY,))


def _bytes(path: Path) -> int:
    size = 0
    for name in (path.name, f"{path.name}-wal"):
        with suppress(FileNotFoundError):
            size += path.with_name(name).stat().st_size
    return size
