"""Which boot of the host this is, and which guests wait to be started in it. Called on the writer's thread."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import apsw


def last(db: apsw.Connection) -> str | None:
    """None when there was none."""
    found = db.execute("SELECT boot_id FROM journal").get
    return None if found is None else str(found)


def begin(db: apsw.Connection, boot_id: str, to_start: Sequence[UUID]) -> None:
    """Those of a boot before that still waited are forgotten: it is known by now which of them ran."""
    db.execute("UPDATE journal SET boot_id = ?", (boot_id,))
    db.execute("DELETE FROM to_start")
    after = db.execute("SELECT coalesce(max(number), 0) FROM operations").get
    db.executemany(
        "INSERT OR IGNORE INTO to_start (instance, after) VALUES (?, ?)", [(str(uuid), after) for uuid in to_start]
    )


def first_to_start(db: apsw.Connection) -> UUID | None:
    """The first of which nothing was asked since; it stays until `started`."""
    db.execute(
        "DELETE FROM to_start WHERE EXISTS "
        "(SELECT 1 FROM operations WHERE instance_uuid = instance AND operations.number > after)"
    )
    found = db.execute("SELECT instance FROM to_start ORDER BY number LIMIT 1").get
    return None if found is None else UUID(found)


def started(db: apsw.Connection, uuid: UUID) -> None:
    db.execute("DELETE FROM to_start WHERE instance = ?", (str(uuid),))
