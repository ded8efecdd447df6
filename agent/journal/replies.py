"""Answers on their way out: kept until the broker has confirmed them. Called on the writer's thread."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import apsw

from agent.journal.columns import from_time, to_time
from agent.journal.records import Address, Answer, OutgoingReply


def add(db: apsw.Connection, address: str, answer: str, at: datetime) -> None:
    """`address` and `answer` are JSON. Its message_id is made here, so that it stays over all attempts."""
    db.execute(
        "INSERT INTO replies (message_id, address, answer, created_at) VALUES (?, ?, ?, ?)",
        (str(uuid4()), address, answer, from_time(at)),
    )


def unsent(db: apsw.Connection, limit: int) -> list[OutgoingReply]:
    """Oldest first."""
    rows = db.execute(
        "SELECT id, message_id, address, answer, created_at FROM replies ORDER BY id LIMIT ?",
        (max(0, limit),),
    )
    return [
        OutgoingReply(
            id=number,
            message_id=message_id,
            address=Address.model_validate_json(address),
            answer=Answer.model_validate_json(answer),
            created_at=to_time(created_at),
        )
        for number, message_id, address, answer, created_at in rows
    ]


def sent(db: apsw.Connection, ids: Sequence[int]) -> None:
    db.executemany("DELETE FROM replies WHERE id = ?", [(number,) for number in ids])
