"""The agent's journal, read from outside with nothing of the agent: what it has really written down."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = (
    "SELECT number, id, identity, method, instance_uuid, status, answer FROM operations "
    "WHERE number > ? ORDER BY number"
)
STEPS = "SELECT operation, name, mark FROM steps WHERE operation > ? ORDER BY position"


@dataclass(frozen=True)
class Row:
    """An operation. `message_id` is what the client gave; `answer` as kept for repeats."""

    number: int
    id: str
    message_id: str
    method: str
    instance: str | None
    status: str
    answer: dict[str, Any]
    steps: dict[str, str]

    @property
    def result(self) -> dict[str, Any]:
        return self.answer.get("result") or {}


@dataclass(frozen=True)
class Written:
    """`unsent`: answers and events that the broker hasn't confirmed."""

    rows: tuple[Row, ...]
    events: tuple[tuple[int, str], ...]  # sequence, type
    unsent: int
    last_sequence: int

    @property
    def unfinished(self) -> list[Row]:
        return [row for row in self.rows if row.status in ("queued", "running")]

    @property
    def hanging(self) -> list[Row]:
        return [row for row in self.rows if row.status in ("stuck", "unknown")]


def read(path: Path, after: int = 0) -> Written:
    """All of it, or only the operations accepted after one, by its number."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        db.execute("BEGIN")
        steps: dict[int, dict[str, str]] = {}
        for number, name, mark in db.execute(STEPS, (after,)):
            steps.setdefault(number, {})[name] = mark
        rows = tuple(
            Row(
                number=number,
                id=id_,
                message_id=identity.rsplit("/", 1)[-1],
                method=method,
                instance=instance,
                status=status,
                answer=json.loads(answer or "{}"),
                steps=steps.get(number, {}),
            )
            for number, id_, identity, method, instance, status, answer in db.execute(ROWS, (after,))
        )
        events = tuple(db.execute("SELECT sequence, type FROM events ORDER BY sequence"))
        unsent, last = db.execute("SELECT unsent, last_sequence FROM journal").fetchone()
        return Written(rows, events, unsent, last)
    finally:
        db.close()
