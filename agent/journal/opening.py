"""Opens the journal's file: looks whether it is sound and ours, sets it up, and pins it to this host.

Runs on the writer's thread at start. What can't be used is refused with a word for the operator; only a
damaged file is set aside (kept, renamed) and a new journal begun, because a host without an agent is worse
than one that lost its memory: the guests and their generations are read back from libvirt.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import apsw
import structlog

from agent.journal import migrations, wal
from agent.journal.refusal import NoRoom, StartRefused
from agent.journal.sealing import KeyFile

log = structlog.get_logger(__name__)

BUSY_MS = 5000
# Before anything is written into a new file.
FIRST = ("PRAGMA auto_vacuum = INCREMENTAL",)
# FULL: the broker's message is acknowledged when the commit returns, so it must be on the disk by then.
# secure_delete: erased state is overwritten with zeros. temp_store: nothing spills beside the file.
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 16777216",
)
LEAST_ROOM_BYTES = 128 * 1024
"""What an open journal takes beside its database, generously: the log's first pages and its index."""
DAMAGED = (apsw.NotADBError, apsw.CorruptError)


@dataclass(frozen=True, slots=True)
class Opened:
    db: apsw.Connection
    stream: UUID


def open_journal(path: Path, key: KeyFile, host: str, now: datetime) -> Opened:
    """Raises StartRefused: a newer schema, another host, another key, a file that can't be opened or that another
    process holds; NoRoom on a full disk."""
    try:
        _make_private(path)
        return _open(path, key, host)
    except DAMAGED as failure:
        _set_aside(path, str(failure), now)
    except apsw.BusyError as failure:
        raise StartRefused(
            f"the journal {path} is held by another process: nobody but the agent may open it; "
            f"fuser {path} tells who does"
        ) from failure
    except (OSError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.FullError, apsw.IOError) as failure:
        refusal = NoRoom if _is_full(path.parent) else StartRefused
        mend = "it must be a file that the agent's user may write"
        raise refusal(f"the journal {path} can't be opened for writing: {failure}; {mend}") from failure
    _make_private(path)
    return _open(path, key, host)


def _open(path: Path, key: KeyFile, host: str) -> Opened:
    wal.need_database(path)
    wal.make_durable(path)
    was_there = path.stat().st_size > 0
    db = apsw.Connection(str(path))
    try:
        db.set_busy_timeout(BUSY_MS)
        migrations.refuse_newer(db)
        wal.need_sound(db)
        _check(db)
        for pragma in FIRST + PRAGMAS:
            db.execute(pragma).fetchall()
        migrations.migrate(db)
        stream = _pinned(db, key, host) or _pin(db, key, host, was_there=was_there)
        return Opened(db, stream)
    except BaseException as failure:
        if isinstance(failure, DAMAGED):
            # It is set aside as it was found: its log isn't emptied into the database.
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        db.close()
        raise


def _is_full(directory: Path) -> bool:
    """SQLite calls a full disk by several names, as it needs files of its own before it writes."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < LEAST_ROOM_BYTES


def _make_private(path: Path) -> None:
    """SQLite gives its other files the mode of this one."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check(db: apsw.Connection) -> None:
    found = [str(row[0]) for row in db.execute("PRAGMA quick_check(5)")]
    if found != ["ok"]:
        raise apsw.CorruptError("; ".join(found))
    if (fault := migrations.fault(db)) is not None:
        raise apsw.CorruptError(fault)


def _set_aside(path: Path, problem: str, now: datetime) -> None:
    aside = path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%S.%fZ}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    log.error(
        "journal.damaged",
        problem=problem,
        kept_as=str(aside),
        meaning="a new journal with a new event stream begins; operations under way, first answers and "
        "unsent events of the old one are not known any more",
    )


def _pinned(db: apsw.Connection, key: KeyFile, host: str) -> UUID | None:
    """The event stream; None when no agent has taken it yet."""
    row = db.execute("SELECT host, stream, key_check FROM journal").fetchone()
    if row is None:
        return None
    if row[0] != host:
        raise StartRefused(
            f"{db.filename} is the journal of host {row[0]!r}, this agent is {host!r}: "
            "set the host name back, or give this agent a state_dir of its own"
        )
    if row[2] != key.check:
        raise StartRefused(
            f"{db.filename} was written with another key: restore the key it was written with; "
            "or, when that is lost, move the journal away: operations under way are then not known any more"
        )
    return UUID(row[1])


def _pin(db: apsw.Connection, key: KeyFile, host: str, *, was_there: bool) -> UUID:
    stream = uuid4()
    db.execute(
        "INSERT INTO journal (only, host, stream, key_check) VALUES (1, ?, ?, ?)", (host, str(stream), key.check)
    )
    if was_there:
        log.warning(
            "journal.begun_anew",
            journal=db.filename,
            stream=str(stream),
            meaning="a file was there with no journal in it: an earlier agent ended before it had begun one, or "
            "its write-ahead log was removed, and then all that was in it is not known any more",
        )
    return stream
