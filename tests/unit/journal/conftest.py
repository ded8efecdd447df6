from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.journal import Journal, KeyFile
from tests.unit.journal.samples import Clock

Open = Callable[..., Awaitable[Journal]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_journal(tmp_path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Opens the journal of this test's directory, as often as wanted; all are closed in the end."""
    opened: list[Journal] = []

    async def open_it(**changes: Any) -> Journal:
        key = changes.pop("key", None) or KeyFile.load_or_create(tmp_path / "journal.key")
        values: dict[str, Any] = {"host": "host-1", "clock": clock} | changes
        opened.append(await Journal.open(tmp_path / "journal.db", key, **values))
        return opened[-1]

    yield open_it
    for journal in opened:
        await journal.close()


@pytest.fixture
async def journal(open_journal: Open) -> Journal:
    return await open_journal()
