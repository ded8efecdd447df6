"""Fills a small disk through the journal and empties it again: `python -m tests.integration.journal_filler DIR`.

Mounts a tmpfs of 2 MiB on DIR, so it is run in a mount namespace of its own. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from itertools import count
from pathlib import Path
from typing import Any

from agent.errors import Unavailable
from agent.journal import Answer, Journal, KeyFile, Status
from tests.integration.small_disk import fill_up, mount
from tests.unit.journal.samples import accepted, event

LITTLE_ROOM = 16384
"""Bytes: for some pages of the log, and not for those of a change."""


async def accept_until_full(journal: Journal) -> tuple[list[str], str]:
    """What was taken, and what was said then."""
    taken: list[str] = []
    for n in count():
        identity = f"u:{n}:" + "x" * 500
        try:
            await accepted(journal, identity, address=None)
        except Unavailable as failure:
            return taken, failure.message
        taken.append(identity)
    raise AssertionError


async def refusals(path: Path, key: KeyFile, ballast: Path) -> dict[str, Any]:
    """A log that has room for small writes only: whether the trouble is told all the while, and how long."""
    journal = await Journal.open(path, key, host="host-1")
    fill_up(ballast)
    os.truncate(ballast, ballast.stat().st_size - LITTLE_ROOM)
    refused, seen = 0, []
    for n in range(10):
        try:
            await accepted(journal, f"late:{n}:" + "x" * 500, address=None)
        except Unavailable:
            refused += 1
        await journal.events_sent([1])
        await journal.try_again()
        seen.append(journal.trouble is not None)
    ballast.unlink()
    await journal.try_again()
    over = journal.trouble is None
    await journal.close()
    return {"refused": refused, "told": seen, "over": over}


async def main(directory: Path) -> None:
    mount(directory, 2)
    ballast = directory / "ballast"
    ballast.write_bytes(bytes(512 * 1024))
    key = KeyFile.load_or_create(directory / "journal.key")
    path = directory / "journal.db"
    journal = await Journal.open(path, key, host="host-1")
    await journal.append([event()])
    taken, message = await accept_until_full(journal)
    told: dict[str, Any] = {"taken": len(taken), "message": message}
    told["pending_when_full"] = await journal.pending()

    ballast.unlink()
    (first, *_) = await journal.unfinished()
    await journal.finish(first.id, Status.SUCCEEDED, Answer(result={}), [event()], {})
    await accepted(journal, "after", address=None)
    await journal.close()

    journal = await Journal.open(path, key, host="host-1")
    await accepted(journal, "last", address=None)
    fill_up(ballast)
    for record in await journal.unfinished():
        await journal.finish(record.id, Status.SUCCEEDED, Answer(), [], {})
    await journal.close()

    told["refusals"] = await refusals(path, key, ballast)
    journal = await Journal.open(path, key, host="host-1")
    kept = await journal.operations(limit=100_000)
    told["kept"] = {record.identity for record in kept} == {*taken, "after", "last"}
    told["statuses"] = sorted({record.status for record in kept})
    told["sequences"] = [e.sequence for e in await journal.unsent_events(10)]
    told["set_aside"] = [file.name for file in directory.glob("*.corrupt*")]
    await journal.close()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
