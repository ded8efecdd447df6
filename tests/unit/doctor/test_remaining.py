"""What stops the look for orphans, as a wrong one would have guests destroyed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.doctor.finding import CantCheck
from agent.doctor.remaining import find
from agent.journal import Journal, KeyFile
from agent.settings import Settings


def settings(directory: Path, host: str) -> Settings:
    return Settings.model_validate({"host": host, "state_dir": directory, "hypervisor": {"driver": "fake"}})


async def test_under_another_name_than_the_journals_nothing_is_an_orphan(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    key = KeyFile.load_or_create(tmp_path / "journal.key")
    await (await Journal.open(tmp_path / "journal.db", key, host="h1")).close()
    assert await find(settings(tmp_path, "h1")) == ()
    with pytest.raises(CantCheck, match="journal of host 'h1', the settings say 'h2'"):
        await find(settings(tmp_path, "h2"))


async def test_without_a_journal_nothing_is_an_orphan(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    with pytest.raises(CantCheck, match="nobody can say what is an orphan"):
        await find(settings(tmp_path, "h1"))
