"""A day's load in minutes, and what the agent holds meanwhile: nothing may grow with the number of operations.

A round is guests that live a whole life, some requests that are refused, some sent twice, and reads. After each
round the agent is let come to rest and its holdings are read from outside. The journal's bounds are set so low
that they are reached many times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any
from uuid import uuid4

from tests.bench.bed import Bed
from tests.bench.figures import Figure
from tests.bench.load import instance
from tests.bench.meters import holding
from tests.chaos.journal import read
from tests.e2e.daemon import Daemon
from tests.e2e.plain import PlainClient

OPERATIONS = 20_000
GUESTS = 40
"""In each round, side by side."""
LIFE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("pause", {}),
    ("unpause", {}),
    ("stop", {"graceful": False}),
    ("start", {}),
    ("suspend", {}),
    ("resume", {}),
    ("destroy", {}),
)
EACH = 1 + len(LIFE) + 1
"""Operations of one guest: its spawn, its life, and a start of what isn't there any more, which is refused."""
KEPT = 500
BOUNDS = {"JOURNAL__MAX_OPERATIONS": str(KEPT), "JOURNAL__MAX_EVENTS": str(KEPT)}
WARM = 0.4
"""The part of the rounds after which nothing may grow: pools, caches and bounded memories are full by then."""
RSS_KIB_EACH = 0.4
"""Growth of memory, in KiB for each operation, that counts as none: less than one object that is forgotten."""
ROWS_MORE = 0.5
"""What the journal may hold beyond its bounds, as a part of them: pruning goes in pieces, beside the work."""


@dataclass(frozen=True)
class Sample:
    """After so many operations."""

    operations: int
    rss_kib: int
    descriptors: int
    threads: int
    journal_kib: float
    rows: int
    events: int


async def soak(bed: Bed) -> list[Figure]:
    """Rounds of whole lives of guests; memory, descriptors, threads and the journal after each."""
    samples = await run(bed, bed.many(OPERATIONS))
    flaws = grown(samples)
    for flaw in flaws:
        print(f"GROWN: {flaw}")
    return [
        Figure("operations", "", (float(samples[-1].operations),)),
        Figure("memory, each round", "MiB", tuple(s.rss_kib / 1024 for s in samples)),
        Figure("memory's slope when warm", "KiB/op", (slope(warm(samples)),)),
        Figure("descriptors, each round", "", tuple(float(s.descriptors) for s in samples)),
        Figure("threads, each round", "", tuple(float(s.threads) for s in samples)),
        Figure("journal and its log, each round", "MiB", tuple(s.journal_kib / 1024 for s in samples)),
        Figure("operations kept, each round", "", tuple(float(s.rows) for s in samples)),
        Figure("rules broken", "", (float(len(flaws)),)),
    ]


async def run(bed: Bed, operations: int) -> list[Sample]:
    """One sample for each round."""
    samples: list[Sample] = []
    async with bed.agent(settings=BOUNDS) as agent, PlainClient(bed.broker.url, agent.host) as client:
        done = 0
        while done < operations:
            await asyncio.gather(*(life(client) for _ in range(GUESTS)))
            done += GUESTS * EACH
            client.events.clear()
            samples.append(await _at_rest(agent, done))
    return samples


async def life(client: PlainClient) -> None:
    uuid = str(uuid4())
    spawn, again = instance(uuid), str(uuid4())
    await asyncio.gather(*(client.call("spawn", spawn, message_id=again) for _ in range(2)))
    for method, args in LIFE:
        await client.call("get_instance", {"instance_uuid": uuid})
        await client.call(method, {"instance_uuid": uuid, **args})
    assert (await client.fail("start", {"instance_uuid": uuid}))["code"] == "not_found"


async def _at_rest(agent: Daemon, done: int) -> Sample:
    """When the journal has told all and is pruned."""
    path = agent.state_dir / "journal.db"
    most = KEPT * (1 + ROWS_MORE)
    async with asyncio.timeout(60):
        while (seen := await asyncio.to_thread(read, path)).unsent or max(len(seen.rows), len(seen.events)) > most:
            await asyncio.sleep(0.05)
    held = holding(agent.pid)
    return Sample(
        operations=done,
        rss_kib=held.rss_kib,
        descriptors=held.descriptors,
        threads=held.threads,
        journal_kib=sum(_size(file) for file in path.parent.glob("journal.db*")) / 1024,
        rows=len(seen.rows),
        events=len(seen.events),
    )


def _size(file: Path) -> int:
    return file.stat().st_size


def warm(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[int(len(samples) * WARM) :]


def slope(samples: Sequence[Sample]) -> float:
    """KiB of memory for each operation, by least squares: one odd sample doesn't decide."""
    xs, ys = [s.operations for s in samples], [s.rss_kib for s in samples]
    x0, y0 = mean(xs), mean(ys)
    spread = sum((x - x0) ** 2 for x in xs)
    return sum((x - x0) * (y - y0) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def grown(samples: Sequence[Sample]) -> list[str]:
    """What has grown since it was warm; empty when all is flat. Pure."""
    late = warm(samples)
    half = len(late) // 2 or 1
    before, after = late[:half], late[half:] or late
    found = []
    if (rate := slope(late)) > RSS_KIB_EACH:
        found.append(f"memory grows by {rate:.2f} KiB for each operation")
    for what in ("descriptors", "threads"):
        had, has = (max(getattr(s, what) for s in part) for part in (before, after))
        if has > had:
            found.append(f"{what} grew from {had} to {has}")
    had_kib, has_kib = (max(s.journal_kib for s in part) for part in (before, after))
    if has_kib > had_kib * 1.1:
        found.append(f"the journal grew from {had_kib:.0f} to {has_kib:.0f} KiB")
    return found
