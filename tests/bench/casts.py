"""Changing casts from the queue to their last event: how many are accepted and how many are done each second, and
what part the journal has.

An agent takes casts faster than it does them, until as many wait as may (`operations.max_pending`): so acceptance
is timed over the first of a run, of which none waits for another's end.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import apsw

from tests.bench import floors
from tests.bench.bed import Bed
from tests.bench.figures import Figure, ratio
from tests.bench.load import Cast, Load, destroys, spawns, switches
from tests.bench.meters import Use, cpu, use
from tests.e2e.daemon import Daemon

CASTS = 3000
FIRST = 600
"""Casts of a run over which acceptance is timed: fewer than may wait."""
GUESTS = 100
MICRO = 1e6


@dataclass
class Side:
    """The repetitions of one of those that are compared."""

    per_s: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    used: list[Use] = field(default_factory=list)
    broker: list[float] = field(default_factory=list)
    number: int = 0

    def rate(self, name: str) -> Figure:
        return Figure(name, "casts/s", tuple(self.per_s))

    def each(self, name: str, of: str) -> Figure:
        values = tuple(getattr(used, of) / self.number * MICRO for used in self.used)
        return Figure(name, "us/cast", values)


async def casts(bed: Bed) -> list[Figure]:
    """pause and unpause on a hundred guests, by turns; journal synced (quorum queue, confirmed events)."""
    number, uuids = whole(bed.many(CASTS))
    synced, unsynced, consumed = Side(number=number), Side(number=number), Side(number=number)
    rows: list[float] = []
    async with bed.agent() as on_disk, bed.agent(in_memory=True) as in_memory:
        async with (
            Load(bed.broker.url, on_disk.host) as to_disk,
            Load(bed.broker.url, in_memory.host) as to_memory,
        ):
            await to_disk.run(spawns(uuids))
            await to_memory.run(spawns(uuids))
            for _ in range(bed.repetitions):
                await _turn(bed, synced, on_disk, to_disk, list(switches(uuids, number)))
                await _turn(bed, unsynced, in_memory, to_memory, list(switches(uuids, number)))
                await floors.consume(bed, consumed, list(switches(uuids, number)))
                rows.append(floors.commit_rows(on_disk.state_dir, number))
            assert not to_disk.errors, to_disk.errors[0]
    return _figures(
        synced, unsynced, consumed, Figure("floor: the same rows by SQLite alone", "casts/s", tuple(rows))
    )


def whole(number: int) -> tuple[int, list[str]]:
    """So many casts, and on which guests, that at the end each runs as before: none is refused the next time."""
    guests = max(1, min(GUESTS, number // 2))
    turns = max(1, number // (2 * guests))
    return turns * 2 * guests, [str(uuid4()) for _ in range(guests)]


async def _turn(bed: Bed, side: Side, agent: Daemon, load: Load, asked: list[Cast]) -> None:
    before, broker, began = use(agent.pid), cpu(bed.broker.pid), time.time()
    seconds = await load.run(asked)
    side.per_s.append(len(asked) / seconds)
    side.accepted.append(_accepted_per_s(agent.state_dir / "journal.db", began, min(FIRST, len(asked))))
    side.used.append(use(agent.pid) - before)
    side.broker.append(cpu(bed.broker.pid) - broker)


def _accepted_per_s(journal: Path, began: float, number: int) -> float:
    """Of casts that were sent from `began` on: that number by the time at which the last of them was journaled."""
    with closing(apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        at = db.execute(
            "SELECT accepted_at FROM operations WHERE accepted_at >= ? ORDER BY number LIMIT 1 OFFSET ?",
            (int(began * MICRO), number - 1),
        ).fetchall()[0][0]
    return number / (int(str(at)) / MICRO - began)


def _figures(synced: Side, unsynced: Side, consumed: Side, rows: Figure) -> list[Figure]:
    done, least = (
        synced.rate("done, all of it on the disk"),
        consumed.rate("floor: only consumed and acknowledged"),
    )
    cost = synced.each("agent's processor time", "process")
    journal = synced.each("of that, the journal's thread", "beside")
    broker = tuple(seconds / synced.number * MICRO for seconds in synced.broker)
    return [
        Figure("accepted: in the journal, to be acknowledged", "casts/s", tuple(synced.accepted)),
        done,
        unsynced.rate("done, state where a sync costs nothing"),
        least,
        rows,
        ratio("only consumed / done", least, done),
        ratio("rows alone / done", rows, done),
        cost,
        synced.each("of that, the event loop's thread", "loop"),
        journal,
        ratio("journal's share of the processor time", journal, cost),
        consumed.each("processor time of the bare consumer", "process"),
        Figure("broker's processor time", "us/cast", broker),
    ]


async def spawn_rate(bed: Bed) -> list[Figure]:
    """spawn of guests without disks, then destroy of the same."""
    number = bed.many(1000)
    spawning, destroying = Side(number=number), Side(number=number)
    async with bed.agent() as agent, Load(bed.broker.url, agent.host) as load:
        for _ in range(bed.repetitions):
            uuids = [str(uuid4()) for _ in range(number)]
            await _turn(bed, spawning, agent, load, spawns(uuids))
            await _turn(bed, destroying, agent, load, destroys(uuids))
        assert not load.errors, load.errors[0]
    return [
        spawning.rate("spawn"),
        destroying.rate("destroy"),
        spawning.each("agent's processor time, spawn", "process"),
        destroying.each("agent's processor time, destroy", "process"),
    ]
