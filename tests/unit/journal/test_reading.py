"""The journal read by others than its agent, which may be writing it meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.journal import Journal
from agent.journal.lock import StateDirLock, holder
from agent.journal.reading import Damaged, Knowledge, Reader, TooLong
from agent.journal.records import Answer, Status
from tests.unit.journal.conftest import Open
from tests.unit.journal.samples import INSTANCE, OTHER, accepted


def known(directory: Path) -> Knowledge:
    with Reader.open(directory / "journal.db") as journal:
        return journal.knowledge()


async def ended(
    journal: Journal, identity: str, status: Status, *, begun: bool = True, method: str = "spawn"
) -> None:
    record = await accepted(journal, identity, method=method)
    if begun:
        await journal.begin(record.id, [])
    await journal.finish(record.id, status, Answer(), [], {})


async def test_a_new_journal_knows_nothing(journal: Journal, tmp_path: Path) -> None:
    assert known(tmp_path).is_new


@pytest.mark.parametrize("status", [None, Status.UNKNOWN, Status.STUCK])
async def test_an_instance_is_busy_while_an_operation_on_it_isnt_settled(
    journal: Journal, tmp_path: Path, status: Status | None
) -> None:
    if status is None:
        await accepted(journal, "1")
    else:
        await ended(journal, "1", status)
    assert known(tmp_path).busy == {INSTANCE}


async def test_the_last_word_is_the_newest_operation_that_had_an_effect(journal: Journal, tmp_path: Path) -> None:
    await ended(journal, "1", Status.SUCCEEDED)
    await ended(journal, "2", Status.FAILED, begun=False)  # refused: nothing was done
    word = known(tmp_path).last[INSTANCE]
    assert (word.method, word.status, word.is_gone) == ("spawn", Status.SUCCEEDED, False)
    await ended(journal, "3", Status.SUCCEEDED, begun=False, method="destroy")  # it was gone already
    word = known(tmp_path).last[INSTANCE]
    assert (word.method, word.is_gone) == ("destroy", True)
    await ended(journal, "4", Status.FAILED)
    assert known(tmp_path).last[INSTANCE].status is Status.FAILED
    assert known(tmp_path).last[INSTANCE].is_gone


async def test_an_instance_whose_power_was_seen_was_met(journal: Journal, tmp_path: Path) -> None:
    await journal.record_power(OTHER, "running", [], bump=False)
    assert known(tmp_path).met == {OTHER}
    assert not known(tmp_path).is_new


async def test_the_state_tells_what_waits(journal: Journal, tmp_path: Path) -> None:
    await accepted(journal, "1")
    await ended(journal, "2", Status.STUCK, method="attach_volume")
    with Reader.open(tmp_path / "journal.db") as reader:
        state = reader.state()
        assert reader.check() is None
    assert (state.host, state.unfinished) == ("host-1", 1)
    assert [(word.method, word.status) for word in state.waiting] == [("attach_volume", Status.STUCK)]
    assert state.oldest_unfinished is not None
    assert state.newest is not None


async def test_it_can_be_read_after_its_agent_has_closed_it_and_opens_again_after_that(
    open_journal: Open, tmp_path: Path
) -> None:
    journal = await open_journal()
    await ended(journal, "1", Status.SUCCEEDED)
    await journal.close()
    before = (tmp_path / "journal.db").read_bytes()
    assert INSTANCE in known(tmp_path).last
    assert (tmp_path / "journal.db").read_bytes() == before
    again = await open_journal()
    await ended(again, "2", Status.SUCCEEDED)
    assert known(tmp_path).last[INSTANCE].status is Status.SUCCEEDED


def test_what_isnt_a_sound_journal_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with pytest.raises(FileNotFoundError), Reader.open(path):
        pass
    path.write_bytes(b"not a database, and long enough to be looked at" * 40)
    with pytest.raises(Damaged), Reader.open(path) as reader:
        reader.knowledge()


async def test_a_check_that_takes_too_long_is_given_up(journal: Journal, tmp_path: Path) -> None:
    for number in range(300):
        await accepted(journal, str(number))
    with pytest.raises(TooLong), Reader.open(tmp_path / "journal.db", seconds=0) as reader:
        reader.check()


def test_who_holds_a_state_directory_is_told_without_touching_its_lock(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    lock = StateDirLock(tmp_path)
    with lock:
        assert holder(tmp_path) == os.getpid()
    assert lock.path.exists()
    assert holder(tmp_path) is None
