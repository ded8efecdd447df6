"""A process of its own that writes a journal until it is killed: `python -m tests.integration.journal_worker DIR`.

Prints a line for each thing the journal has confirmed, and nothing for what it hasn't.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path
from uuid import uuid4

from agent.journal import Answer, Journal, KeyFile, Status
from agent.saga import Mark
from tests.unit.journal.samples import State, accepted, event

LANES = 16


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def lane(journal: Journal, number: int) -> None:
    """Operations one after another; each second one is left unfinished."""
    for turn in count():
        identity = f"u:{number}:{uuid4()}"
        record = await accepted(journal, identity, instance_uuid=uuid4())
        say("accepted", identity)
        await journal.begin(record.id, [event("start")])
        say("begun", identity)
        await journal.write_step(record.id, "one", Mark.BEGUN, State(made=("one",)))
        say("step", identity)
        if turn % 2:
            await journal.finish(record.id, Status.SUCCEEDED, Answer(result={}), [event("end")], {})
            say("finished", identity)


async def main(directory: Path) -> None:
    key = KeyFile.load_or_create(directory / "journal.key")
    journal = await Journal.open(directory / "journal.db", key, host="host-1")
    await asyncio.gather(*(lane(journal, number) for number in range(LANES)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
