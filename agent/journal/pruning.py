"""Forgets what is older or more than is to be kept, in pieces that hold up nobody.

Never forgotten: operations that are unfinished or wait for a person (stuck, unknown), replies and events the
broker hasn't confirmed. Events go from the oldest on only, so that what is kept has no gap. The generation of an
instance that isn't there any more goes with its last operation.

Between two prunings at most a tenth more is added than is to be kept: `piece` says how much that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import apsw

from agent.journal import generations
from agent.journal.columns import from_time
from agent.journal.writer import Writer

PIECE = 50  # rows; an operation's steps go with it
VACUUM_PAGES = 64
SPARE_PAGES = 256  # left free in the file, as the next rows will want them

# Reads like the partial index's own condition, so that the index is used.
PRUNABLE = "status IN ('succeeded', 'failed', 'cancelled', 'abandoned')"


@dataclass(frozen=True, slots=True)
class Limits:
    """Ended before `before`, or more than these."""

    before: datetime
    max_operations: int
    max_events: int


def piece(max_operations: int, max_events: int) -> int:
    """Operations and events after whose addition it is time to prune again."""
    return max(PIECE, min(max_operations, max_events) // 10)


async def prune(writer: Writer, limits: Limits) -> int:
    """Returns the number of operations and events that were forgotten."""
    forgotten = 0
    while removed := await writer.write(lambda db: old_operations(db, limits)):
        forgotten += removed
    surplus = await writer.read(lambda db: surplus_operations(db, limits))
    while removed := await writer.write(partial(oldest_operations, most=surplus)):
        forgotten += removed
        surplus -= removed
    # Looked up once: to find the first young one, all old ones are gone through.
    keep_from = await writer.read(lambda db: keep_events_from(db, limits))
    while removed := await writer.write(lambda db: events(db, keep_from)):
        forgotten += removed
    while await writer.write(vacuum):
        pass
    return forgotten


def old_operations(db: apsw.Connection, limits: Limits) -> int:
    return _forget(
        db,
        f"SELECT number FROM operations WHERE {PRUNABLE} AND ended_at < ? LIMIT ?",  # noqa: S608 - a constant
        (from_time(limits.before), PIECE),
    )


def surplus_operations(db: apsw.Connection, limits: Limits) -> int:
    """How many more there are than are to be kept."""
    ended = db.execute(f"SELECT count(*) FROM operations WHERE {PRUNABLE}").get  # noqa: S608 - a constant
    return max(0, int(ended) - limits.max_operations)


def oldest_operations(db: apsw.Connection, most: int) -> int:
    return _forget(
        db,
        f"SELECT number FROM operations WHERE {PRUNABLE} ORDER BY ended_at LIMIT ?",  # noqa: S608 - a constant
        (min(PIECE, most),),
    )


def _forget(db: apsw.Connection, which: str, arguments: tuple[int, ...]) -> int:
    # Steps and waiters go with their operation.
    gone = db.execute(
        f"DELETE FROM operations WHERE number IN ({which}) RETURNING instance_uuid",  # noqa: S608 - constants
        arguments,
    ).fetchall()
    generations.forget(db, {str(instance) for (instance,) in gone if instance is not None})
    return len(gone)


def events(db: apsw.Connection, keep_from: int) -> int:
    db.execute(
        "DELETE FROM events WHERE sequence < ? AND sequence < (SELECT min(sequence) FROM events) + ?",
        (keep_from, PIECE),
    )
    return db.changes()


def keep_events_from(db: apsw.Connection, limits: Limits) -> int:
    """The first sequence that stays: by age or by number, but no unsent one goes."""
    last = db.execute("SELECT last_sequence FROM journal").get
    # The first young one in the stream's order: times may jump back when the clock is set.
    young = db.execute(
        "SELECT sequence FROM events WHERE time >= ? ORDER BY sequence LIMIT 1", (from_time(limits.before),)
    ).get
    unsent = db.execute("SELECT min(sequence) FROM events WHERE sent = 0").get
    by_age = last + 1 if young is None else young
    by_number = last + 1 - limits.max_events
    return int(min(max(by_age, by_number), last + 1 if unsent is None else unsent))


def vacuum(db: apsw.Connection) -> int:
    """Give pages back to the file system; the number given back, 0 when enough were."""
    free = db.execute("PRAGMA freelist_count").get
    if free <= SPARE_PAGES:
        return 0
    pages = min(VACUUM_PAGES, free - SPARE_PAGES)
    db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()
    return int(pages)
