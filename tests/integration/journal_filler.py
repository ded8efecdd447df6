"""Fills a small disk through the journal and empties it again: `python -m tests.integration.journal_filler DIR`.

Mounts a tmpfs of 2 MiB on DIR, so it is run in a mount namespace of its own. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

from agent.errors import Unavailable
from agent.journal import Answer, Journal, KeyFile, Status
from tests.integration.small_disk import fill_up, mount
from tests.unit.journal.samples import accepted, event


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
