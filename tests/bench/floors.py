"""The least that the same work costs, on this machine, in this minute."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import aio_pika
import apsw

from agent.journal.opening import open_journal
from agent.journal.sealing import KeyFile
from tests.bench.bed import Bed
from tests.bench.load import Cast, Load
from tests.bench.meters import cpu, use

if TYPE_CHECKING:
    from tests.bench.casts import Side

GROUP = 64
"""Operations whose rows share a commit."""
PREFETCH = 64
TEXT = json.dumps({"operation_id": str(uuid4()), "instance_uuid": str(uuid4())})


def commit_rows(beside: Path, number: int) -> float:
    """Operations a second whose rows (one operation, a step, three events) are put into a journal of their own
    on the disk of `beside`, as synced as the agent's."""
    directory = beside / "floor"
    directory.mkdir()
    try:
        key = KeyFile.load_or_create(directory / "key")
        opened = open_journal(directory / "journal.db", key, "floor", datetime.now(UTC))
        with closing(opened.db) as db:
            began = time.monotonic()
            for first in range(1, number + 1, GROUP):
                db.execute("BEGIN IMMEDIATE")
                for operation in range(first, min(first + GROUP, number + 1)):
                    _insert(db, operation)
                db.execute("COMMIT")
            return number / (time.monotonic() - began)
    finally:
        shutil.rmtree(directory)


def _insert(db: apsw.Connection, number: int) -> None:
    db.execute(
        "INSERT INTO operations (id, identity, fingerprint, method, saga, saga_version, caller, status, "
        "accepted_at, begun_at, ended_at, answer) "
        "VALUES (?, ?, ?, 'pause', 'pause', 1, '{}', 'succeeded', 1, 1, 1, ?)",
        (str(uuid4()), f"//{uuid4()}", "0" * 64, TEXT),
    )
    db.execute("INSERT INTO steps VALUES (?, 'pause', 0, 'done', 1, 1)", (number,))
    for sequence in range(3 * number, 3 * number + 3):
        db.execute(
            "INSERT INTO events (sequence, type, time, data, sent) "
            "VALUES (?, 'compute.instance.pause.end', 1, ?, 1)",
            (sequence, TEXT),
        )


async def consume(bed: Bed, side: Side, casts: list[Cast]) -> None:
    """One repetition of a process that takes the same casts from a queue like the agent's, and acknowledges
    them: `python -m tests.bench.floors URL QUEUE NUMBER` is that process."""
    name = f"floor-{uuid4().hex[:8]}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, bed.broker.url, name, str(len(casts)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    async with Load(bed.broker.url, name) as load:
        before, broker, began = use(process.pid), cpu(bed.broker.pid), time.monotonic()
        await load.send(casts)
        assert await process.stdout.readline() == b"done\n"
        side.per_s.append(len(casts) / (time.monotonic() - began))
        side.used.append(use(process.pid) - before)
        side.broker.append(cpu(bed.broker.pid) - broker)
    process.terminate()
    await process.wait()


async def consumer(url: str, name: str, number: int) -> None:
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    await channel.set_qos(PREFETCH)
    queue = await channel.declare_queue(f"compute.{name}", durable=True, arguments={"x-queue-type": "quorum"})
    await queue.bind("compute", queue.name)
    left, done = number, asyncio.Event()

    async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        nonlocal left
        await message.ack()
        left -= 1
        if not left:
            done.set()

    await queue.consume(take)
    print("ready", flush=True)
    await done.wait()
    print("done", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(consumer(sys.argv[1], sys.argv[2], int(sys.argv[3])))
