"""What a killed agent left under way, and how soon it is at its end in the next run."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import apsw

from agent.hypervisor.fake.control import FakeWorld
from agent.hypervisor.fake.faults import Fault
from tests.bench.bed import Bed
from tests.bench.figures import Figure, percentile
from tests.bench.load import Load, spawns
from tests.e2e.daemon import Daemon

UNFINISHED = 100
POLL_S = 0.05


async def recovery(bed: Bed) -> list[Figure]:
    """100 spawns are amid their last step when the agent is killed; started again, it brings all to their ends."""
    from_exec, from_journal, ready = [], [], []
    for _ in range(bed.repetitions):
        async with bed.agent() as agent:
            await _left_under_way(bed, agent)
            began = time.time()
            await asyncio.to_thread(agent.start)
            ready.append(time.time() - began)
            opened, ended = await _ends(agent.state_dir / "journal.db", began)
            from_exec.append(percentile(ended, 0.95) - began)
            from_journal.append(percentile(ended, 0.95) - opened)
    return [
        Figure("from the journal's opening to recovered, p95 (target 1)", "s", tuple(from_journal)),
        Figure("from the process's start to recovered, p95", "s", tuple(from_exec)),
        Figure("from the process's start to taking commands", "s", tuple(ready)),
    ]


async def _left_under_way(bed: Bed, agent: Daemon) -> None:
    """As many as were asked for hang in their start, and the agent is killed."""
    world, number = FakeWorld(agent.state_dir), bed.many(UNFINISHED)
    world.faults.add(Fault(call="domains.start", hang=True))
    async with Load(bed.broker.url, agent.host) as load:
        await load.send(spawns(str(uuid4()) for _ in range(number)))
        while world.faults.all()[0].taken < number:
            await asyncio.sleep(POLL_S)
    await asyncio.to_thread(agent.kill)
    world.faults.clear()


async def _ends(journal: Path, after: float) -> tuple[float, list[float]]:
    """When the next run told of itself, and when each operation ended; seconds since 1970."""
    with closing(apsw.Connection(str(journal), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        while db.execute("SELECT count(*) FROM operations WHERE ended_at IS NULL").get:
            await asyncio.sleep(POLL_S)
        told = db.execute("SELECT max(time) FROM events WHERE type = 'compute.host.started'").get
        failed = db.execute("SELECT count(*) FROM operations WHERE status <> 'succeeded'").get
        ended = [at / 1e6 for (at,) in db.execute("SELECT ended_at FROM operations")]
    if failed or min(ended) < after:
        raise RuntimeError(f"{failed} of what was under way failed, or ended before the kill")
    return told / 1e6, ended
