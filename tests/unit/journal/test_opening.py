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
    (aside,) = tmp_path.glob("journal.db.corrupt-*")
    assert aside.name == "journal.db.corrupt-20260301T120000.123456Z"
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


async def test_an_empty_file_is_a_new_journal(open_journal: Open, tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch()
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
