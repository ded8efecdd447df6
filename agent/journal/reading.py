"""The journal as others than its agent see it: read only, whether the agent runs or not.

SQLite's log keeps readers and the one writer apart. Nothing is migrated, pruned or set aside here, and nothing is
decrypted: the key isn't needed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import apsw

from agent.journal import migrations, wal
from agent.journal.columns import to_time
from agent.journal.records import Status

BUSY_MS = 2000
STEPS = 1000  # of SQLite's machine, between two looks at the clock
DAMAGED = (apsw.NotADBError, apsw.CorruptError)
OPEN = (Status.QUEUED, Status.RUNNING, Status.UNKNOWN, Status.STUCK)


class Unreadable(Exception):
    """The journal can't be read, and why."""


class Damaged(Unreadable):
    """What is there is no sound journal."""


class TooLong(Unreadable):
    """It isn't read within the time given."""


@dataclass(frozen=True, slots=True)
class Word:
    """What an operation says of its instance: the last one that took effect or found all as it was asked."""

    id: UUID
    method: str
    status: Status
    at: datetime

    @property
    def is_gone(self) -> bool:
        """Whether nothing of the instance should be there after it."""
        if self.method == "destroy":
            return self.status is Status.SUCCEEDED
        return self.method == "spawn" and self.status in (Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Which instances the journal knows, and what of them.

    `busy` have an operation that is unfinished, stuck or unknown; `last` is the last word on those that any
    operation is kept of; `met` are those that the agent has ever counted or seen; `host` is whose journal
    it is, None before an agent has taken it.
    """

    host: str | None = None
    busy: frozenset[UUID] = frozenset()
    last: dict[UUID, Word] = field(default_factory=dict)
    met: frozenset[UUID] = frozenset()

    @property
    def is_new(self) -> bool:
        """It has nothing to tell yet, as after its loss and before the first listing."""
        return not (self.busy or self.last or self.met)


@dataclass(frozen=True, slots=True)
class State:
    """How the journal is. `key_check` tells its key from others; `newest` is the latest time in it; `unsent` are
    answers and events."""

    host: str | None
    key_check: str | None
    schema: int
    unfinished: int
    oldest_unfinished: datetime | None
    waiting: tuple[Word, ...]
    unsent: int
    newest: datetime | None


class Reader:
    """`with Reader.open(path) as journal:`; blocking. All methods raise Unreadable, after `seconds` too."""

    def __init__(self, db: apsw.Connection, ends: float) -> None:
        self._db = db
        self._ends = ends

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, seconds: float = 10.0) -> Iterator[Reader]:
        """Raises Unreadable; FileNotFoundError when there is no journal."""
        path.stat()
        ends = time.monotonic() + seconds
        with _told(path):
            wal.need_database(path)
            db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(BUSY_MS)
            db.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
            with _told(path):
                wal.need_sound(db)
                yield cls(db, ends)
        finally:
            db.close()

    def check(self) -> str | None:
        """What is wrong with the file or its log; None when they are sound. Every frame of the log is
        looked at, also what a running agent takes for sound: its next start would break off there."""
        path = Path(self._db.filename)
        if (damage := wal.look(path)) is not None:
            return f"{wal.path_of(path).name} is {damage}"
        found = [str(row[0]) for row in self._db.execute("PRAGMA quick_check(5)")]
        return None if found == ["ok"] else "; ".join(found)

    def schema(self) -> int:
        return migrations.version(self._db)

    def fault(self) -> str | None:
        """What isn't as its schema says."""
        return migrations.fault(self._db)

    def state(self) -> State:
        row = self._db.execute("SELECT host, key_check, unsent FROM journal").fetchone()
        host, key_check, unsent = row or (None, None, 0)
        of_unfinished = "FROM operations WHERE status IN ('queued', 'running')"
        oldest = self._db.execute(f"SELECT min(accepted_at) {of_unfinished}").get
        newest = self._db.execute(
            "SELECT max(at) FROM (SELECT max(accepted_at) AS at FROM operations "
            "UNION ALL SELECT max(time) FROM events UNION ALL SELECT max(at) FROM power)"
        ).get
        return State(
            host=host,
            key_check=key_check,
            schema=self.schema(),
            unfinished=self._db.execute(f"SELECT count(*) {of_unfinished}").get,
            oldest_unfinished=None if oldest is None else to_time(oldest),
            waiting=self._waiting(),
            unsent=unsent,
            newest=None if newest is None else to_time(newest),
        )

    def _waiting(self) -> tuple[Word, ...]:
        rows = self._db.execute(
            "SELECT id, method, status, coalesce(ended_at, accepted_at) FROM operations "
            "WHERE status IN ('unknown', 'stuck') ORDER BY number"
        )
        return tuple(_word(*row) for row in rows)

    def knowledge(self) -> Knowledge:
        """In one look: nothing changes between its parts."""
        self._db.execute("BEGIN")
        try:
            return Knowledge(host=self._host(), busy=self._busy(), last=self._last(), met=self._met())
        finally:
            self._db.execute("ROLLBACK")

    def _host(self) -> str | None:
        row = self._db.execute("SELECT host FROM journal").fetchone()
        return None if row is None else str(row[0])

    def _busy(self) -> frozenset[UUID]:
        rows = self._db.execute(
            "SELECT DISTINCT instance_uuid FROM operations "
            "WHERE status IN ('queued', 'running', 'unknown', 'stuck') AND instance_uuid IS NOT NULL"
        )
        return frozenset(UUID(uuid) for (uuid,) in rows)

    def _last(self) -> dict[UUID, Word]:
        # SQLite takes the other columns from the row of max(). What was refused has neither begun nor succeeded.
        rows = self._db.execute(
            "SELECT instance_uuid, id, method, status, coalesce(ended_at, accepted_at), max(number) "
            "FROM operations WHERE instance_uuid IS NOT NULL AND (status = 'succeeded' OR begun_at IS NOT NULL) "
            "GROUP BY instance_uuid"
        )
        return {UUID(uuid): _word(*word) for uuid, *word, _ in rows}

    def _met(self) -> frozenset[UUID]:
        rows = self._db.execute("SELECT instance FROM generations UNION SELECT instance FROM power")
        return frozenset(UUID(uuid) for (uuid,) in rows)


def _word(operation: str, method: str, status: str, at: int) -> Word:
    return Word(UUID(operation), method, Status(status), to_time(at))


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as failure:
        raise Damaged(f"{path} is damaged: {failure}") from failure
    except apsw.InterruptError as failure:
        raise TooLong(f"reading {path} takes too long") from failure
    except apsw.Error as failure:
        raise Unreadable(f"{path} can't be read: {failure}") from failure
