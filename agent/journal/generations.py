"""The instances' generations: a number that goes up with each change. Called on the writer's thread.

A destroyed instance's stays as long as any of its operations is kept, so that a second instance with the same
uuid goes on counting.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import apsw


def get(db: apsw.Connection, uuid: UUID) -> int:
    """0 when unknown."""
    found = db.execute("SELECT generation FROM generations WHERE instance = ?", (str(uuid),)).get
    return 0 if found is None else int(found)


def every(db: apsw.Connection) -> dict[UUID, int]:
    return {UUID(uuid): number for uuid, number in db.execute("SELECT instance, generation FROM generations")}


def bump(db: apsw.Connection, uuid: UUID, at_least: int = 0) -> int:
    """The new one: one more than the kept one and than `at_least`."""
    generation = max(get(db, uuid), at_least) + 1
    db.execute("INSERT OR REPLACE INTO generations VALUES (?, ?)", (str(uuid), generation))
    return generation


def forget(db: apsw.Connection, instances: Iterable[str]) -> None:
    """Of those that aren't there and of which no operation is kept."""
    db.executemany(
        "DELETE FROM generations WHERE instance = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM power WHERE instance = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM operations WHERE instance_uuid = ?1)",
        [(instance,) for instance in instances],
    )
