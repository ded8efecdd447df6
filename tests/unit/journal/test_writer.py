from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from agent.errors import Unavailable
from agent.journal.writer import BATCH, GATHERING_S, READING_S, Last, Writer

Add = Callable[[apsw.Connection], None]


class Disk:
    """A database whose commits are counted and whose room can be bounded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        self.db: apsw.Connection | None = None

    def connect(self) -> apsw.Connection:
        self.db = apsw.Connection(str(self.path))
        self.db.execute("PRAGMA journal_mode = WAL").fetchall()
        self.db.execute("CREATE TABLE t (n INTEGER UNIQUE, content BLOB)")
        self.db.set_commit_hook(self._count)
        return self.db

    def _count(self) -> bool:
        self.commits += 1
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "t.db")


@pytest.fixture
async def writer(disk: Disk) -> AsyncIterator[Writer]:
    writer = await Writer.start(disk.connect)
    yield writer
    await writer.close()


def add(n: int, size: int = 10) -> Add:
    def work(db: apsw.Connection) -> None:
        db.execute("INSERT INTO t VALUES (?, zeroblob(?))", (n, size))

    return work


def numbers(db: apsw.Connection) -> list[int]:
    return [row[0] for row in db.execute("SELECT n FROM t ORDER BY n")]


class Held:
    """Keeps the writer's thread busy, so that what comes meanwhile gathers."""

    def __init__(self, writer: Writer) -> None:
        self._go = threading.Event()
        self._reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(writer.read(self._wait))

    def _wait(self, _: apsw.Connection) -> None:
        self._loop.call_soon_threadsafe(self._reached.set)
        self._go.wait(30)

    async def __aenter__(self) -> None:
        await asyncio.wait_for(self._reached.wait(), 10)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self._go.set()
        await self._task


async def test_writes_that_gather_share_one_commit(writer: Writer, disk: Disk) -> None:
    async with Held(writer):
        waiting = [asyncio.ensure_future(writer.write(add(n))) for n in range(BATCH)]
    await asyncio.gather(*waiting)
    assert disk.commits == 1
    assert await writer.read(numbers) == list(range(BATCH))


async def test_a_batch_is_bounded(writer: Writer, disk: Disk) -> None:
    async with Held(writer):
        waiting = [asyncio.ensure_future(writer.write(add(n))) for n in range(BATCH + 1)]
    await asyncio.gather(*waiting)
    assert disk.commits == 2


async def test_one_writes_failure_leaves_the_others_of_its_batch(writer: Writer, disk: Disk) -> None:
    def fails(db: apsw.Connection) -> None:
        add(100)(db)
        raise LookupError("after its insert")

    async with Held(writer):
        waiting = [
            asyncio.ensure_future(writer.write(work))
            for work in (add(1), fails, add(1), add(2))  # the third is a duplicate
        ]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LookupError, apsw.ConstraintError, type(None)]
    assert await writer.read(numbers) == [1, 2]
    assert disk.commits == 1


async def test_a_write_too_big_for_the_disk_leaves_the_others_of_its_batch(writer: Writer, disk: Disk) -> None:
    await writer.read(lambda db: db.execute("PRAGMA max_page_count = 20").get)
    async with Held(writer):
        waiting = [asyncio.ensure_future(writer.write(add(n, 300_000 if n == 2 else 10))) for n in range(5)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[2], Unavailable)
    assert "disk is full" in results[2].message
    assert await writer.read(numbers) == [0, 1, 3, 4]


async def test_the_writer_goes_on_when_the_disk_has_room_again(writer: Writer) -> None:
    await writer.read(lambda db: db.execute("PRAGMA max_page_count = 20").get)
    for n in range(3):
        with pytest.raises(Unavailable, match="full"):
            await writer.write(add(n, 300_000))
    await writer.read(lambda db: db.execute("PRAGMA max_page_count = 1000000").get)
    await writer.write(add(7, 300_000))
    assert await writer.read(numbers) == [7]


async def test_a_file_that_cannot_be_written_is_unavailable(writer: Writer) -> None:
    await writer.read(lambda db: db.execute("PRAGMA query_only = ON").get)
    with pytest.raises(Unavailable, match="can't be written"):
        await writer.write(add(1))
    await writer.read(lambda db: db.execute("PRAGMA query_only = OFF").get)
    await writer.write(add(1))


async def test_the_disks_trouble_is_told_since_it_began_until_a_trial_goes_well(writer: Writer) -> None:
    await writer.read(lambda db: db.execute("PRAGMA query_only = ON").get)
    seen = []
    for _ in range(2):
        with pytest.raises(Unavailable):
            await writer.write(add(1))
        seen.append(writer.trouble)
    assert seen[0] is not None
    assert seen[0] == seen[1]
    await writer.read(lambda db: db.execute("PRAGMA query_only = OFF").get)
    await writer.write(add(1), trial=True)
    assert writer.trouble is None


async def test_a_small_write_that_fits_ends_no_trouble(writer: Writer) -> None:
    await writer.read(lambda db: db.execute("PRAGMA max_page_count = 20").get)
    for number in range(3):
        with pytest.raises(Unavailable):
            await writer.write(add(10, 300_000), trial=True)
        await writer.write(add(number))
        assert writer.trouble is not None


async def test_a_write_that_is_refused_by_itself_is_no_trouble_of_the_disk(writer: Writer) -> None:
    def refuses(_: apsw.Connection) -> None:
        raise Unavailable("too much waits for the broker")

    with pytest.raises(Unavailable):
        await writer.write(refuses)
    assert writer.trouble is None


async def test_a_file_held_by_another_is_unavailable(writer: Writer, disk: Disk) -> None:
    other = apsw.Connection(str(disk.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="held by another process"):
        await writer.write(add(1))
    other.execute("ROLLBACK")
    await writer.write(add(1))
    other.close()


async def test_reads_see_what_is_durable_only(writer: Writer, disk: Disk) -> None:
    def both(db: apsw.Connection) -> tuple[list[int], bool]:
        return numbers(db), db.in_transaction

    async with Held(writer):
        writing = asyncio.ensure_future(writer.write(add(1)))
        reading = asyncio.ensure_future(writer.read(both))
    assert await reading == ([1], False)
    await writing


async def test_many_long_reads_keep_no_write_waiting(writer: Writer) -> None:
    done: list[str] = []  # in the writer's thread: when each caller hears of it is the loop's affair
    begun, asked = threading.Event(), threading.Event()

    def long(_: apsw.Connection) -> None:
        begun.set()
        asked.wait(10)
        time.sleep(READING_S)  # what makes it long
        done.append("read")

    def write(db: apsw.Connection) -> None:
        add(1)(db)
        done.append("written")

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(writer.read(long))
        await asyncio.to_thread(begun.wait, 10)
        group.create_task(writer.write(write))
        await asyncio.sleep(0)
        asked.set()
    assert done.index("written") <= 1


async def test_a_reads_failure_is_its_callers(writer: Writer) -> None:
    with pytest.raises(ZeroDivisionError):
        await writer.read(lambda _: 1 // 0)
    await writer.write(add(1))


async def test_a_cancelled_callers_write_still_happens_and_wakes_who_waits(writer: Writer) -> None:
    woken = asyncio.Event()
    async with Held(writer):
        caller = asyncio.ensure_future(writer.write(add(1), then=woken.set))
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.wait_for(woken.wait(), 10)
    assert caller.cancelled()
    assert await writer.read(numbers) == [1]


async def test_a_failed_write_wakes_nobody(writer: Writer) -> None:
    woken = asyncio.Event()

    def fails(_: apsw.Connection) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await writer.write(fails, then=woken.set)
    assert not woken.is_set()


async def test_what_fails_to_open_is_told_and_leaves_no_thread() -> None:
    def connect() -> apsw.Connection:
        raise LookupError("no file")

    with pytest.raises(LookupError, match="no file"):
        await Writer.start(connect)
    for thread in threading.enumerate():
        if thread.name == "journal":
            thread.join(10)
            assert not thread.is_alive()


async def test_a_closed_writer_has_no_thread_and_no_file(disk: Disk) -> None:
    others = threading.enumerate()
    writer = await Writer.start(disk.connect)
    await writer.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "journal" and thread not in others]
    assert disk.db is not None
    with pytest.raises(apsw.ConnectionClosedError):
        disk.db.execute("SELECT 1")


def test_a_loop_that_is_gone_loses_no_write(disk: Disk) -> None:
    """A daemon whose loop died: the thread ends with what it had, without an error of its own."""
    go = threading.Event()

    async def leave() -> Writer:
        writer = await Writer.start(disk.connect)
        writing = [asyncio.ensure_future(writer.write(work)) for work in (lambda _: go.wait(30), add(5))]
        await asyncio.sleep(0)
        assert len(writing) == 2
        return writer

    writer = asyncio.run(leave())
    go.set()
    asyncio.run(writer.close())
    other = apsw.Connection(str(disk.path))
    assert numbers(other) == [5]
    other.close()


@pytest.mark.parametrize(
    ("last", "there", "seconds"),
    [
        (Last(), 1, 0.0),
        (Last(writes=1, seconds=0.004), 1, 0.0),
        (Last(writes=10, seconds=0.004), 10, 0.0),
        (Last(writes=10, seconds=0.004), 12, 0.0),
        (Last(writes=10, seconds=0.004), 9, 0.004),
        (Last(writes=10, seconds=5.0), 9, GATHERING_S),
    ],
)
def test_a_batch_waits_for_as_many_as_the_last_and_no_longer_than_that_took(
    last: Last, there: int, seconds: float
) -> None:
    assert last.gathering(there) == seconds


async def test_writes_that_come_one_by_one_under_load_share_commits(writer: Writer, disk: Disk) -> None:
    numbers_left = iter(range(400))

    async def busy() -> None:
        for n in numbers_left:
            await writer.write(add(n))

    await asyncio.gather(*(busy() for _ in range(40)))
    assert await writer.read(numbers) == list(range(400))
    assert disk.commits < 200
