"""Which logs are damaged and which just broke off, on logs that SQLite wrote."""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.journal.wal import FRAME, HEADER, Damage, Sight, damage, lasting

SIZE = 4096
BITS = st.integers(0, 7)


@dataclass(frozen=True)
class Log:
    """`commits`: the numbers of the frames that end a transaction, from 1."""

    content: bytes
    commits: tuple[int, ...]
    frame_bytes: int = FRAME + SIZE

    @property
    def frames(self) -> int:
        return (len(self.content) - HEADER) // self.frame_bytes

    def start(self, frame: int) -> int:
        return HEADER + (frame - 1) * self.frame_bytes

    def followed(self, frame: int) -> int:
        """How many commits follow this frame."""
        return sum(commit > frame for commit in self.commits)


@contextmanager
def database(size: int = SIZE) -> Iterator[apsw.Connection]:
    """Not synchronous, to be quick: the same bytes are written."""
    with tempfile.TemporaryDirectory() as directory:
        db = apsw.Connection(f"{directory}/j.db")
        try:
            for pragma in (f"page_size={size}", "journal_mode=WAL", "synchronous=OFF", "wal_autocheckpoint=0"):
                db.execute(f"PRAGMA {pragma}").fetchall()
            db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, content)")
            yield db
        finally:
            db.close()


def wal_of(db: apsw.Connection) -> bytes:
    return Path(f"{db.filename}-wal").read_bytes()


def add(db: apsw.Connection, pages: int, fill: str = "x") -> None:
    db.execute("INSERT INTO t (content) VALUES (?)", (fill * (pages * SIZE),))


def taken(log: bytes, db: apsw.Connection) -> int:
    """How many frames SQLite takes of this log beside that database."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "j.db")
        shutil.copy(db.filename, path)
        Path(f"{path}-wal").write_bytes(log)
        other = apsw.Connection(str(path))
        try:
            other.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            _, frames, _ = other.execute("PRAGMA wal_checkpoint(NOOP)").get
            return int(frames)
        finally:
            other.close()


def log_of(content: bytes, size: int = SIZE) -> Log:
    frame_bytes = FRAME + size
    starts = range(HEADER, len(content) - frame_bytes + 1, frame_bytes)
    ends = [struct.unpack_from(">I", content, at + 4)[0] for at in starts]
    return Log(content, tuple(number for number, end in enumerate(ends, 1) if end), frame_bytes)


@cache
def written(size: int = SIZE) -> Log:
    """Transactions of one frame and of several."""
    with database(size) as db:
        for number in range(12):
            add(db, (0, 3, 0, 0, 2)[number % 5], chr(97 + number))
        return log_of(wal_of(db), size)


def flipped(content: bytes, at: int, bit: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@given(frame=st.integers(1, written().frames), offset=st.integers(0, FRAME + SIZE - 1), bit=BITS)
@settings(max_examples=100, deadline=None)
def test_any_bit_flipped_in_a_frame_that_two_commits_follow_is_found(frame: int, offset: int, bit: int) -> None:
    log = written()
    found = damage(flipped(log.content, log.start(frame) + offset, bit))
    assert (found is not None) == (log.followed(frame) >= 2)
    assert found is None or found.frame == frame


@given(frame=st.integers(1, written().frames), offset=st.integers(0, FRAME - 1), bit=BITS)
@settings(max_examples=100, deadline=None)
def test_so_is_any_in_a_frames_header(frame: int, offset: int, bit: int) -> None:
    log = written()
    found = damage(flipped(log.content, log.start(frame) + offset, bit))
    assert (found is not None) == (log.followed(frame) >= 2)


@given(offset=st.integers(0, HEADER - 1), bit=BITS, size=st.sampled_from([512, SIZE]))
@settings(max_examples=50, deadline=None)
def test_so_is_any_in_the_logs_header(offset: int, bit: int, size: int) -> None:
    found = damage(flipped(written(size).content, offset, bit))
    assert found is not None
    assert found.frame == 0


def sums(order: str, seed: tuple[int, int], content: bytes) -> tuple[int, int]:
    first, second = seed
    for even, odd in struct.iter_unpack(f"{order}2I", content):
        first = (first + even + second) % 2**32
        second = (second + odd + first) % 2**32
    return first, second


def big_endian(log: Log) -> bytes:
    """The same as a machine of the other byte order writes it."""
    content = bytearray(log.content)
    content[3] |= 1
    seed = sums(">", (0, 0), bytes(content[: HEADER - 8]))
    content[HEADER - 8 : HEADER] = struct.pack(">2I", *seed)
    for at in map(log.start, range(1, log.frames + 1)):
        seed = sums(">", seed, bytes(content[at : at + 8] + content[at + FRAME : at + log.frame_bytes]))
        content[at + 16 : at + FRAME] = struct.pack(">2I", *seed)
    return bytes(content)


@pytest.mark.parametrize(("at", "frame"), [(10, 0), (HEADER + 5000, 2)])
def test_a_log_of_a_machine_of_the_other_byte_order_is_looked_at_too(at: int, frame: int) -> None:
    content = big_endian(written())
    with database() as db:
        assert taken(content, db) == written().frames
    assert damage(content) is None
    found = damage(flipped(content, at, 0))
    assert found is not None
    assert found.frame == frame


@given(start=st.integers(0, len(written().content) // 4096))
@settings(deadline=None)
def test_a_block_of_zeros_that_some_commits_follow_is_found(start: int) -> None:
    log, at = written(), start * 4096
    zeroed = log.content[:at] + bytes(4096) + log.content[at + 4096 :]
    behind = max(0, at + 4096 - HEADER) // log.frame_bytes + 1
    # The frame behind one whose checksum is gone can't be told to go on from it.
    if log.followed(behind + 1) >= 2:
        found = damage(zeroed)
        first = next(n for n, (old, new) in enumerate(zip(log.content, zeroed, strict=True)) if old != new)
        assert found is not None
        assert found.frame == (first - HEADER) // log.frame_bytes + 1 if first >= HEADER else found.frame == 0


@given(length=st.integers(0, len(written().content)))
@settings(max_examples=100, deadline=None)
def test_a_log_cut_anywhere_just_broke_off(length: int) -> None:
    assert damage(written().content[:length]) is None


@given(
    lost=st.sets(st.integers(0, 40), min_size=1),
    before=st.integers(0, 4),
    pages=st.integers(0, 10),
)
@settings(max_examples=100, deadline=None)
def test_a_transaction_of_which_any_blocks_were_lost_just_broke_off(
    lost: set[int], before: int, pages: int
) -> None:
    """A power cut: the disk had written some of it, in whatever order."""
    with database() as db:
        for number in range(before):
            add(db, number)
        length = len(wal_of(db))
        add(db, pages)
        content = bytearray(wal_of(db))
    for block in lost:
        at = length + block * 512 * 3
        content[at : at + 512] = bytes(len(content[at : at + 512]))
    assert damage(bytes(content)) is None


@given(
    failed=st.lists(st.integers(0, 8), min_size=1, max_size=4),
    fits=st.lists(st.integers(1, 12), min_size=4, max_size=4),
    done=st.integers(0, 3),
)
@example(failed=[8, 4], fits=[12, 12, 12, 12], done=0)
@settings(max_examples=30, deadline=None)
def test_what_failed_commits_left_behind_isnt_damage(failed: list[int], fits: list[int], done: int) -> None:
    """Each began where the sound part ends, over what the one before it had left, and came as far as there was
    room; whole ones failed when they were to be made durable."""
    with database() as db:
        add(db, 1)
        add(db, 0)
        base = Path(db.filename).read_bytes(), wal_of(db)
        leftover = base[1]
        for number, (pages, frames) in enumerate(zip(failed, fits, strict=False)):
            tried = begun_from(base, pages, chr(97 + number))
            part = tried[: len(base[1]) + frames * (FRAME + SIZE)]
            leftover = part + leftover[len(part) :]
        after = begun_from(base, done, "z")
        leftover = after + leftover[len(after) :]
        assert damage(leftover) is None
        assert damage(leftover, taken(leftover, db)) is None


def begun_from(base: tuple[bytes, bytes], pages: int, fill: str) -> bytes:
    """The log after one more transaction."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "j.db")
        path.write_bytes(base[0])
        Path(f"{path}-wal").write_bytes(base[1])
        db = apsw.Connection(str(path))
        try:
            db.execute("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=OFF").fetchall()
            add(db, pages, fill)
            return wal_of(db)
        finally:
            db.close()


def test_frames_of_a_log_before_this_one_in_the_same_file_arent_damage() -> None:
    with database() as db:
        for _ in range(10):
            add(db, 2)
        db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        add(db, 0)
        add(db, 1)
        content = wal_of(db)
        assert len(content) > 8 * (FRAME + SIZE)
        assert damage(content) is None
        assert damage(content, taken(content, db)) is None


@given(frame=st.integers(1, written().frames), offset=st.integers(0, FRAME + SIZE - 1), bit=BITS)
@settings(max_examples=30, deadline=None)
def test_it_is_the_same_when_what_sqlite_took_is_passed_over(frame: int, offset: int, bit: int) -> None:
    log = written()
    spoiled = flipped(log.content, log.start(frame) + offset, bit)
    with database() as db:
        assert damage(spoiled, taken(spoiled, db)) == damage(spoiled)


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(HEADER), bytes(100_000), b"rubbish" * 10_000])
def test_what_never_was_a_log_is_no_damaged_one(content: bytes) -> None:
    assert damage(content) is None


ONE, OTHER = Damage(3), Damage(5)
LASTING: dict[str, tuple[list[Sight], Damage | None]] = {
    "sound": ([(None, b"a")], None),
    "damaged": ([(ONE, b"a"), (ONE, b"a")], ONE),
    "a frame that was being written": ([(ONE, b"a"), (None, b"a")], None),
    "a log that was begun anew meanwhile": ([(ONE, b"a"), (ONE, b"b"), (None, b"b")], None),
    "both, and damaged": ([(ONE, b"a"), (ONE, b"b"), (OTHER, b"b"), (OTHER, b"b")], OTHER),
}


@pytest.mark.parametrize(("sights", "told"), LASTING.values(), ids=LASTING.keys())
def test_only_what_looks_the_same_twice_is_damage(sights: list[Sight], told: Damage | None) -> None:
    left = iter(sights)
    assert lasting(lambda: next(left)) == told
    assert list(left) == []
