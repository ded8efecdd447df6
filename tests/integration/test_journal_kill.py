"""The agent is killed while it writes: what the journal had confirmed is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from agent.journal import Journal, OperationRecord, Status
from tests.unit.journal.conftest import Open
from tests.unit.journal.conftest import clock as clock
from tests.unit.journal.conftest import open_journal as open_journal
from tests.unit.journal.samples import reading

ROOT = Path(__file__).parents[2]


def killed_after(directory: Path, lines: int) -> dict[str, set[str]]:
    """What the worker said before it was killed in the middle of its work: word -> identities."""
    command = [sys.executable, "-m", "tests.integration.journal_worker", str(directory)]
    said: dict[str, set[str]] = defaultdict(set)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ) as worker:
        assert worker.stdout is not None
        for number, line in enumerate(worker.stdout):
            if not line.endswith("\n"):
                break  # cut by the kill
            word, identity = line.split()
            said[word].add(identity)
            if number == lines:
                worker.kill()
    assert worker.returncode == -9
    return said


async def everything(journal: Journal) -> dict[str, OperationRecord]:
    return {record.identity: record for record in await journal.operations(limit=100_000)}


@pytest.mark.parametrize("lines", [1, 40, 333, 1200, 2500])
async def test_what_was_confirmed_before_a_kill_is_there_and_the_stream_has_no_gap(
    open_journal: Open, tmp_path: Path, lines: int
) -> None:
    said = killed_after(tmp_path, lines)
    assert len(said["accepted"]) > 0
    journal = await open_journal()
    kept = await everything(journal)

    assert said["accepted"] <= kept.keys()
    assert all(kept[identity].begun_at for identity in said["begun"])
    assert all(kept[identity].steps for identity in said["step"])
    assert all(kept[identity].status is Status.SUCCEEDED for identity in said["finished"])

    ended = [record for record in kept.values() if record.status is Status.SUCCEEDED]
    begun = [record for record in kept.values() if record.begun_at]
    events = await journal.unsent_events(1_000_000)
    assert [e.sequence for e in events] == list(range(1, len(begun) + len(ended) + 1))
    assert len(await journal.unsent_replies(1_000_000)) == len(ended)
    assert {r.identity for r in await journal.unfinished()} == kept.keys() - {r.identity for r in ended}
    assert not list(tmp_path.glob("*.corrupt*"))
    await journal.close()
    with reading(tmp_path / "journal.db") as db:
        assert db.execute("PRAGMA integrity_check").get == "ok"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
