from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from structlog.testing import capture_logs

from agent.errors import Unavailable
from agent.journal import Journal, KeyFile, StartRefused, Status, migrations
from agent.journal import opening as opening_module
from agent.journal.reading import Damaged, Reader
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import Clock, accepted, event, reading, request


def settings(path: Path, clock: Clock) -> dict[str, object]:
    key = KeyFile.load_or_create(path.with_name("journal.key"))
    opened = opening_module.open_journal(path, key, "host-1", clock())
    names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "auto_vacuum", "temp_store")
    try:
        return {name: opened.db.execute(f"PRAGMA {name}").get for name in names}
    finally:
        opened.db.close()


@pytest.mark.parametrize("time", ["first", "second"])
async def test_every_opening_sets_what_durability_and_erasing_need(
    tmp_path: Path, clock: Clock, time: str
) -> None:
    if time == "second":
        settings(tmp_path / "journal.db", clock)
    assert settings(tmp_path / "journal.db", clock) == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "secure_delete": 1,
        "auto_vacuum": 2,  # INCREMENTAL
        "temp_store": 2,  # MEMORY
    }


async def test_the_files_are_readable_by_the_agent_only(journal: Journal, tmp_path: Path) -> None:
    await accepted(journal)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert {"journal.db", "journal.db-wal", "journal.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


HOLD = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.execute("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE").fetchall()
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_journal_that_another_process_holds_is_refused_and_left_as_it_is(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "journal.db"
    settings(path, clock)
    key = KeyFile.load_or_create(path.with_name("journal.key"))
    # In a process of its own: the kernel's locks are a process's, not a connection's.
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StartRefused, match="held by another process"):
            opening_module.open_journal(path, key, "host-1", clock())
    opening_module.open_journal(path, key, "host-1", clock()).db.close()
    assert list(tmp_path.glob("*.corrupt-*")) == []


async def test_another_hosts_journal_is_refused(journal: Journal, open_journal: Open) -> None:
    record = await accepted(journal)
    await journal.close()
    with pytest.raises(StartRefused, match=r"journal of host 'host-1', this agent is 'host-2'"):
        await open_journal(host="host-2")
    assert (await (await open_journal()).operation(record.id)).status is Status.QUEUED


async def test_a_journal_written_with_another_key_is_refused(journal: Journal, open_journal: Open) -> None:
    await journal.close()
    with pytest.raises(StartRefused, match="another key"):
        await open_journal(key=KeyFile(b"A" * 43 + b"="))


async def test_a_newer_schema_is_refused_and_left_as_it_is(
    journal: Journal, open_journal: Open, tmp_path: Path
) -> None:
    await accepted(journal)
    await journal.close()
    path = tmp_path / "journal.db"
    newer = max(migrations.known()) + 1
    with apsw.Connection(str(path)) as db:
        db.execute(f"PRAGMA user_version = {newer}")
    db.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(StartRefused, match=f"schema {newer}"):
        await open_journal()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.db", "journal.key"]


async def test_a_schema_made_halfway_does_not_exist() -> None:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE replies (mine TEXT)")
    with pytest.raises(apsw.SQLError, match="already exists"):
        migrations.migrate(db)
    db.execute("ROLLBACK")
    assert migrations.version(db) == 0
    assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["replies"]
    db.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    assert sorted(migrations.known()) == list(range(1, len(migrations.known()) + 1))


ALTERATIONS = (
    ("DROP TABLE replies", "table replies is missing"),
    ("DROP TABLE operations", "table operations is missing"),
    ("DROP TABLE journal", "table journal is missing"),
    ("DROP INDEX events_unsent", "index events_unsent is missing"),
    ("DROP TRIGGER reply_sent", "trigger reply_sent is missing"),
    ("ALTER TABLE steps DROP COLUMN since", "column steps.since is missing"),
    ("PRAGMA user_version = 0", "table operations is there"),
    ("PRAGMA user_version = 1", "table to_start is there"),
)


@pytest.mark.parametrize(("sql", "told"), ALTERATIONS)
async def test_a_journal_that_isnt_what_its_schema_is_is_set_aside(
    journal: Journal, open_journal: Open, tmp_path: Path, sql: str, told: str
) -> None:
    await accepted(journal)
    await journal.close()
    alter(tmp_path / "journal.db", sql)
    with capture_logs() as logs:
        later = await open_journal()
    (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["event"] == "journal.damaged"
    assert told in entry["problem"]
    assert later.stream != journal.stream
    await accepted(later)


async def test_what_somebody_added_does_no_harm(journal: Journal, open_journal: Open, tmp_path: Path) -> None:
    await accepted(journal)
    await journal.close()
    alter(tmp_path / "journal.db", "CREATE TABLE notes (mine); CREATE INDEX fast ON events (type)")
    assert await (await open_journal()).pending() == 1


def alter(path: Path, sql: str) -> None:
    db = apsw.Connection(str(path))
    db.execute(f"PRAGMA foreign_keys = OFF; {sql}")
    db.close()


def spoil_header(content: bytes) -> bytes:
    return b"not a database at all" + content[21:]


def spoil_pages(content: bytes) -> bytes:
    return content[:4096] + os.urandom(len(content) - 4096)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2 - 100]


@pytest.mark.parametrize("spoil", [spoil_header, spoil_pages, cut])
async def test_a_damaged_file_is_set_aside_and_a_new_stream_begun(
    journal: Journal, open_journal: Open, tmp_path: Path, spoil: object
) -> None:
    assert callable(spoil)
    await journal.append([event() for _ in range(200)])
    await accepted(journal)
    await journal.close()
    path = tmp_path / "journal.db"
    damaged = spoil(path.read_bytes())
    path.write_bytes(damaged)
    with capture_logs() as logs:
        later = await open_journal()
    aside = tmp_path / "journal.db.corrupt-20260301T120000.123456Z"
    assert aside.read_bytes() == damaged
    (told,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert told["event"] == "journal.damaged"
    assert told["kept_as"] == str(aside)
    assert later.stream != journal.stream
    assert await later.unfinished() == []
    assert [e.sequence for e in await later.append([event()])] == [1]


async def test_a_damaged_files_log_goes_aside_with_it(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"rubbish" * 1000)
    (tmp_path / "journal.db-wal").write_bytes(b"rubbish too")
    await accepted(await open_journal())
    assert len(list(tmp_path.glob("journal.db.corrupt-*"))) >= 1
    assert b"rubbish" not in (tmp_path / "journal.db-wal").read_bytes()


@pytest.mark.parametrize("log", [None, 0, 32])
async def test_an_empty_file_is_a_new_journal(open_journal: Open, tmp_path: Path, log: int | None) -> None:
    """With a log that holds nothing too: of so many bytes."""
    (tmp_path / "journal.db").touch()
    if log is not None:
        (tmp_path / "journal.db-wal").write_bytes(bytes(log))
    await accepted(await open_journal())
    assert list(tmp_path.glob("*.corrupt*")) == []


async def test_a_state_dir_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="can't be opened for writing"):
        await Journal.open(tmp_path / "absent" / "journal.db", KeyFile(b"A" * 43 + b"="), host="h")


async def test_a_directory_in_the_journals_place_is_told(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(StartRefused, match="can't be opened for writing"):
        await open_journal()


async def test_closing_finishes_what_was_handed_in(journal: Journal, tmp_path: Path) -> None:
    waiting = [asyncio.ensure_future(journal.accept(request(f"u:{n}"))) for n in range(300)]
    await asyncio.sleep(0)
    await journal.close()
    await asyncio.gather(*waiting)
    assert not (tmp_path / "journal.db-wal").exists()
    with reading(tmp_path / "journal.db") as db:
        assert db.execute("SELECT count(*) FROM operations").get == 300


async def test_a_closed_journal_is_unavailable(journal: Journal) -> None:
    await journal.close()
    await journal.close()
    with pytest.raises(Unavailable, match="closed"):
        await journal.accept(request())
    with pytest.raises(Unavailable, match="closed"):
        await journal.pending()


WRITE = """
import asyncio, os, signal, sys
from pathlib import Path
from agent.journal import Journal, KeyFile
from tests.unit.journal.samples import accepted

async def main(directory):
    journal = await Journal.open(directory / "journal.db", KeyFile(b"A" * 43 + b"="), host="host-1")
    for number in range(20):
        await accepted(journal, f"u:{number}")
    print(journal.stream, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(Path(sys.argv[1])))
"""
KEY = KeyFile(b"A" * 43 + b"=")


def killed_with_20_operations(directory: Path) -> str:
    """The event stream of an agent that was."""
    done = subprocess.run([sys.executable, "-c", WRITE, str(directory)], stdout=subprocess.PIPE, check=False)
    assert done.returncode == -9
    return done.stdout.decode().split()[-1]


def flip(path: Path, at: int) -> bytes:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    return bytes(content)


async def test_what_a_killed_agent_wrote_is_there(open_journal: Open, tmp_path: Path) -> None:
    stream = killed_with_20_operations(tmp_path)
    journal = await open_journal(key=KEY)
    assert str(journal.stream) == stream
    assert await journal.pending() == 20


@pytest.mark.parametrize("part", [0.0, 0.3, 0.8])
async def test_a_bit_flipped_in_the_log_of_a_killed_agent_sets_the_journal_aside(
    open_journal: Open, tmp_path: Path, part: float
) -> None:
    stream = killed_with_20_operations(tmp_path)
    log = tmp_path / "journal.db-wal"
    spoiled = flip(log, int(log.stat().st_size * part))
    with pytest.raises(Damaged, match=r"journal\.db-wal is damaged at"), Reader.open(tmp_path / "journal.db"):
        pass
    with capture_logs() as logs:
        journal = await open_journal(key=KEY)
    (told,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert told["event"] == "journal.damaged"
    assert "journal.db-wal is damaged at" in told["problem"]
    assert Path(f"{told['kept_as']}-wal").read_bytes() == spoiled
    assert str(journal.stream) != stream
    assert await journal.pending() == 0


async def test_a_log_whose_end_a_power_cut_took_is_no_damage(open_journal: Open, tmp_path: Path) -> None:
    stream = killed_with_20_operations(tmp_path)
    log = tmp_path / "journal.db-wal"
    log.write_bytes(log.read_bytes()[:-5000])
    journal = await open_journal(key=KEY)
    assert str(journal.stream) == stream
    assert await journal.pending() == 19


async def test_a_log_without_its_database_is_kept(open_journal: Open, tmp_path: Path) -> None:
    killed_with_20_operations(tmp_path)
    before = (tmp_path / "journal.db-wal").read_bytes()
    (tmp_path / "journal.db").unlink()
    with capture_logs() as logs:
        await open_journal(key=KEY)
    (told,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert told["problem"] == "journal.db is empty, and its log journal.db-wal isn't"
    assert Path(f"{told['kept_as']}-wal").read_bytes() == before


async def test_a_journal_that_begins_anew_because_its_log_is_gone_says_so(
    open_journal: Open, tmp_path: Path
) -> None:
    killed_with_20_operations(tmp_path)
    (tmp_path / "journal.db-wal").unlink()
    with capture_logs() as logs:
        journal = await open_journal(key=KEY)
    (told,) = [entry for entry in logs if entry["event"] == "journal.begun_anew"]
    assert (told["log_level"], told["stream"]) == ("warning", str(journal.stream))
    assert "write-ahead log was removed" in told["meaning"]


async def test_the_first_journal_of_a_host_begins_without_a_word(open_journal: Open) -> None:
    with capture_logs() as logs:
        await open_journal()
    assert logs == []
