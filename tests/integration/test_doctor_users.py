"""The doctor is root, the agent and QEMU are others."""

from __future__ import annotations

import os
from pathlib import Path

from agent.doctor.permissions import User, own, unreadable_logs
from agent.journal import Journal, KeyFile
from agent.journal.reading import Reader

STRANGER = User(64055, frozenset({64055}))


async def test_what_root_makes_beside_a_journal_is_its_owners(tmp_path: Path) -> None:
    """Or the agent, another user, couldn't open it any more."""
    path = tmp_path / "journal.db"
    journal = await Journal.open(path, KeyFile.load_or_create(tmp_path / "journal.key"), host="h1")
    await journal.close()
    os.chown(path, STRANGER.uid, STRANGER.uid)
    with Reader.open(path) as reader:
        assert reader.knowledge().is_new
    beside = {file.name: file.stat().st_uid for file in tmp_path.glob("journal.db*")}
    assert set(beside.values()) == {STRANGER.uid}, beside


def test_a_journal_of_another_user_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    journal.touch(mode=0o600)
    os.chown(journal, STRANGER.uid, -1)
    (finding,) = own(tmp_path)
    assert str(journal) in finding.says


def test_a_console_log_that_the_agent_cant_read_is_told(tmp_path: Path) -> None:
    log = tmp_path / "instances" / "some" / "console.log"
    log.parent.mkdir(parents=True)
    log.touch(mode=0o600)
    os.chown(tmp_path, STRANGER.uid, STRANGER.uid)
    (finding,) = unreadable_logs(tmp_path)
    assert str(log) in finding.says
    os.chown(log, STRANGER.uid, -1)
    assert list(unreadable_logs(tmp_path)) == []
