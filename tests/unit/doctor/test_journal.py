"""What the journal's check tells, from real journals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from cryptography.fernet import Fernet

from agent.doctor.finding import Finding, Verdict
from agent.doctor.journal import check, examine
from agent.journal import Journal, KeyFile, migrations
from agent.journal.records import Answer, Status
from agent.settings import Settings
from tests.unit.journal.samples import accepted, event


def settings(directory: Path, **more: Any) -> Settings:
    return Settings.model_validate({"host": "h1", "state_dir": directory, **more})


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(
        tmp_path / "journal.db", KeyFile.load_or_create(tmp_path / "journal.key"), host="h1"
    )
    yield opened
    await opened.close()


def only(directory: Path, verdict: Verdict, **more: Any) -> Finding:
    (finding,) = (found for found in examine(settings(directory, **more)) if found.verdict is verdict)
    return finding


async def test_a_sound_journal_is_well_while_its_agent_has_it(journal: Journal, tmp_path: Path) -> None:
    (finding,) = await check(settings(tmp_path))
    assert (finding.verdict, "sound" in finding.says) == (Verdict.OK, True)


@pytest.mark.parametrize("status", [Status.STUCK, Status.UNKNOWN])
async def test_an_operation_that_waits_for_a_person_is_told(
    journal: Journal, tmp_path: Path, status: Status
) -> None:
    record = await accepted(journal)
    await journal.begin(record.id, [])
    await journal.finish(record.id, status, Answer(), [], {})
    finding = only(tmp_path, Verdict.WARNING)
    assert str(record.id) in finding.says
    assert status.value in finding.says
    assert "retry_operation" in str(finding.mend)


async def test_an_operation_that_is_unfinished_for_long_is_told(tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    key = KeyFile.load_or_create(tmp_path / "journal.key")
    journal = await Journal.open(tmp_path / "journal.db", key, host="h1", clock=lambda: long_ago)
    await accepted(journal)
    assert "1 operations unfinished" in only(tmp_path, Verdict.WARNING).says
    await journal.close()


async def test_the_journal_of_another_host_is_told(journal: Journal, tmp_path: Path) -> None:
    finding = only(tmp_path, Verdict.BROKEN, host="h2")
    assert "'h1'" in finding.says
    assert "'h2'" in finding.says


async def test_a_journal_of_a_newer_agent_is_told_and_left_alone(journal: Journal, tmp_path: Path) -> None:
    await journal.close()
    with apsw.Connection(str(tmp_path / "journal.db")) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert "schema 99" in only(tmp_path, Verdict.BROKEN).says


async def test_a_damaged_journal_is_told(journal: Journal, tmp_path: Path) -> None:
    for number in range(50):
        await accepted(journal, str(number))
    await journal.close()
    path = tmp_path / "journal.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 4096 * 4 + whole[8192 + 4096 * 4 :])
    assert "damaged" in only(tmp_path, Verdict.BROKEN).says


async def test_a_log_that_was_damaged_under_its_agent_is_told(journal: Journal, tmp_path: Path) -> None:
    for number in range(5):
        await accepted(journal, str(number))
    log = tmp_path / "journal.db-wal"
    whole = log.read_bytes()
    with log.open("r+b") as file:
        file.seek(5000)
        file.write(bytes([whole[5000] ^ 1]))
    told = only(tmp_path, Verdict.BROKEN)
    assert "journal.db-wal is damaged at frame 2" in told.says
    assert "sets it aside" in str(told.mend)
    assert log.stat().st_size == len(whole)


@pytest.mark.parametrize("table", ["replies", "operations", "journal", "to_start"])
async def test_a_journal_without_one_of_its_tables_is_told(journal: Journal, tmp_path: Path, table: str) -> None:
    await journal.close()
    with apsw.Connection(str(tmp_path / "journal.db")) as db:
        db.execute(f"DROP TABLE {table}")
    db.close()
    told = only(tmp_path, Verdict.BROKEN)
    assert f"table {table} is missing" in told.says
    assert "sets it aside" in str(told.mend)


def test_what_was_no_database_ever_is_damaged_too(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database" * 1000)
    assert "damaged" in only(tmp_path, Verdict.BROKEN).says


async def test_a_journal_that_was_set_aside_is_told(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "journal.db.corrupt-20260301T120000.0Z").touch()
    (tmp_path / "journal.db.corrupt-20260301T120000.0Z-wal").touch()
    assert "set aside" in only(tmp_path, Verdict.WARNING).says


@pytest.mark.parametrize("place", ["", "a file"])
def test_a_host_without_a_journal_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    assert "there is no journal" in only(tmp_path / place, Verdict.WARNING).says


def test_a_journal_of_an_earlier_agent_is_well(tmp_path: Path) -> None:
    with apsw.Connection(str(tmp_path / "journal.db")) as db:
        db.execute(f"{migrations.known()[1]}; PRAGMA user_version = 1")
    db.close()
    (finding,) = examine(settings(tmp_path))
    assert finding.verdict is Verdict.OK
    assert f"schema 1; the agent's next start brings it to {max(migrations.known())}" in finding.says


async def test_a_full_outbox_is_told(journal: Journal, tmp_path: Path) -> None:
    await journal.append([event() for _ in range(100)])
    full = only(tmp_path, Verdict.BROKEN, journal={"outbox_limit": 100})
    assert full.says == "100 answers and events wait for the broker: changes are refused"
    assert not [
        f for f in examine(settings(tmp_path, journal={"outbox_limit": 101})) if f.verdict is Verdict.BROKEN
    ]


async def test_a_journal_that_takes_too_long_to_read_says_nothing_of_its_soundness(
    journal: Journal, tmp_path: Path
) -> None:
    await journal.append([event() for _ in range(1000)])
    (finding,) = examine(settings(tmp_path), seconds=0)
    assert (finding.verdict, "takes too long" in finding.says) == (Verdict.UNCHECKED, True)
    assert "try again" in str(finding.mend)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda key: key.unlink(), "isn't there"),
        (lambda key: key.write_bytes(b"no key"), "is damaged"),
        (lambda key: key.chmod(0o644), "can be read by others"),
        (lambda key: key.write_bytes(Fernet.generate_key()), "another key"),
        (lambda key: (key.unlink(), key.mkdir()), "is no file"),
    ],
)
async def test_a_key_that_no_agent_can_start_with_is_told(
    journal: Journal, tmp_path: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(tmp_path / "journal.key")
    assert says in only(tmp_path, Verdict.BROKEN).says


async def test_a_key_that_is_given_takes_the_place_of_the_file(journal: Journal, tmp_path: Path) -> None:
    given = (tmp_path / "journal.key").read_text()
    (tmp_path / "journal.key").unlink()
    (finding,) = examine(settings(tmp_path, journal={"key": given}))
    assert finding.verdict is Verdict.OK


def test_a_directory_in_the_journals_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.db").mkdir()
    assert "no file" in only(tmp_path, Verdict.BROKEN).says
