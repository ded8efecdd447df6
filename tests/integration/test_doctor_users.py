"""The doctor, the agent and QEMU are different users."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


ASKED_BY_A_STRANGER = """
import asyncio, os, sys
from pathlib import Path
from agent.doctor.checks import CHECKS, _load, examine
from agent.settings import Settings

wanted = tuple(entry for entry in CHECKS if entry.name in sys.argv[3:])
settings = Settings(host="h1", state_dir=Path(sys.argv[2]))
for entry in wanted:
    _load(entry.where)
os.seteuid(int(sys.argv[1]))
for finding in asyncio.run(examine(settings, wanted)):
    print(finding.verdict.value, finding.mend, sep=": ")
"""


@pytest.mark.parametrize("check", ["agent", "journal", "permissions", "disk"])
def test_who_may_not_look_is_told_so_and_not_that_something_is_broken(tmp_path: Path, check: str) -> None:
    tmp_path.chmod(0o700)
    argv = [sys.executable, "-c", ASKED_BY_A_STRANGER, str(STRANGER.uid), str(tmp_path / "state"), check]
    told = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert told == "not checked: run this as root or as the agent's user\n"


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
