"""SQLite's write-ahead log, `journal.db-wal`: did it break off, or was it damaged?

SQLite takes the log up to the first frame whose checksum is wrong and says nothing, as that is where a power cut
leaves one. When a frame was damaged instead, all that was committed behind it is gone just as quietly. What lies
there tells the two apart:

    header | frame ... frame | bad frame | frame ... frame COMMIT | frame ... COMMIT
           |- SQLite takes --|           |- each goes on from the one before, two commits: damage

A checksum goes on from the one stored in the frame before, so frames behind a bad one still hold together. What a
failed or torn commit leaves holds one commit at most in such a run: the next transaction begins only when the one
before is on the disk (`synchronous=FULL`). So damage to the last two transactions isn't told from a power cut.

The format is https://www.sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import apsw

HEADER = 32
FRAME = 24
"""Bytes of a frame before its page."""
COMMITS = 2
MAGIC = 0x377F0682
"""Its last bit is set when the checksums are made of big-endian words."""
PAGE_SIZES = tuple(2**n for n in range(9, 17))

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Damage:
    """The first frame that isn't as it was written, from 1; 0: the log's header."""

    frame: int

    def __str__(self) -> str:
        where = f"frame {self.frame}" if self.frame else "its header"
        return f"damaged at {where}: what was committed behind that would be lost"


class _Layout(NamedTuple):
    """`order` of the checksums' words; `salts` are None when the header that has them can't be read."""

    page_size: int
    order: str
    salts: bytes | None


class _Frame(NamedTuple):
    page: int
    commits: bool
    salts: bytes
    sums: Sums
    summed: bytes


def damage(log: bytes, taken: int = 0) -> Damage | None:
    """`taken`: frames from the first on that are known to be sound; they are passed over, as each checksum takes
    0.1 ms here."""
    if len(log) < HEADER:
        return None
    layout = _layout(log)
    if layout is None:
        guesses = (_Layout(size, order, None) for size, order in product(PAGE_SIZES, "<>"))
        return Damage(0) if any(_lost(log, guess, 0, None) for guess in guesses) else None
    size = FRAME + layout.page_size
    stored_at = HEADER + (taken - 1) * size + 16 if taken else HEADER - 8
    first = _lost(log, layout, taken, _sums_at(log, stored_at))
    return None if first is None else Damage(first)


def _layout(log: bytes) -> _Layout | None:
    """None: SQLite doesn't know it for a log's header either."""
    magic, _, page_size = struct.unpack_from(">3I", log)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != MAGIC or page_size not in PAGE_SIZES:
        return None
    if _summed(order, (0, 0), log[: HEADER - 8]) != _sums_at(log, HEADER - 8):
        return None
    return _Layout(page_size, order, log[16:24])


def _lost(log: bytes, layout: _Layout, taken: int, before: Sums | None) -> int | None:
    """The first bad frame, if commits were lost by it. `before` is what the first frame looked at goes on from."""
    bad, commits = None, 0
    salts, seeds = layout.salts, [] if before is None else [before]
    for number, frame in enumerate(_frames(log, layout, taken), taken + 1):
        # The salts say which frames are of this log, and which were left by one before it in the same file.
        ours = frame.page != 0 and frame.salts == salts
        found = [_summed(layout.order, seed, frame.summed) for seed in seeds] if ours else []
        if frame.sums not in found:
            bad, commits = bad or number, 0
        elif bad is not None:
            commits += frame.commits
        if commits == COMMITS:
            return bad
        # The frame's own damage may be in its checksum: then the next one goes on from what that should be.
        seeds = [frame.sums, *found[:1]]
        salts = layout.salts or frame.salts
    return None


def _frames(log: bytes, layout: _Layout, taken: int) -> Iterator[_Frame]:
    size = FRAME + layout.page_size
    for at in range(HEADER + taken * size, len(log) - size + 1, size):
        page, pages_after = struct.unpack_from(">2I", log, at)
        summed = log[at : at + 8] + log[at + FRAME : at + size]
        yield _Frame(page, pages_after != 0, log[at + 8 : at + 16], _sums_at(log, at + 16), summed)


def _sums_at(log: bytes, at: int) -> Sums:
    first, second = struct.unpack_from(">2I", log, at)
    return first, second


def _summed(order: str, seed: Sums, content: bytes) -> Sums:
    first, second = seed
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def path_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


Sight = tuple[Damage | None, bytes]
"""What one look at a log found, and the log's header."""


def look(database: Path, taken: int = 0) -> Damage | None:
    """At the log of this database, also while its agent writes."""
    return lasting(lambda: _look(database, taken))


def lasting(seen: Callable[[], Sight]) -> Damage | None:
    """What was just being written or begun anew doesn't look the same a second time."""
    sight = seen()
    while sight[0] is not None:
        before, sight = sight, seen()
        if sight == before:
            break
    return sight[0]


def _look(database: Path, taken: int) -> Sight:
    try:
        log = path_of(database).read_bytes()
    except FileNotFoundError:
        return None, b""
    return damage(log, taken), log[:HEADER]


def need_database(database: Path) -> None:
    """Before SQLite opens it, because it removes the log of an empty one. Raises apsw.CorruptError."""
    log = path_of(database)
    if database.stat().st_size == 0 and log.exists() and log.stat().st_size > HEADER:
        raise apsw.CorruptError(f"{database.name} is empty, and its log {log.name} isn't")


def need_sound(db: apsw.Connection) -> None:
    """Raises apsw.CorruptError when SQLite took less of the log than was committed."""
    _, taken, _ = db.execute("PRAGMA wal_checkpoint(NOOP)").get
    database = Path(db.filename)
    found = look(database, max(taken, 0))
    if found is not None:
        raise apsw.CorruptError(f"{path_of(database).name} is {found}")


def make_durable(database: Path) -> None:
    """What a killed agent had written and not made durable counts from now on."""
    with suppress(FileNotFoundError):
        log = os.open(path_of(database), os.O_RDONLY)
        try:
            os.fsync(log)
        finally:
            os.close(log)
