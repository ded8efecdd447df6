"""What it costs to begin: the command line's overview, as people see it at each completion and each mistake."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Sequence

from tests.bench.bed import Bed
from tests.bench.figures import Figure, ratio

STARTS = 20
MS = 1000.0
BARE = [sys.executable, "-c", "pass"]
OVERVIEW = [sys.executable, "-m", "agent.cli.main", "--help"]


async def cli_start(bed: Bed) -> list[Figure]:
    """`agent-cli --help` beside `python -c pass`, by turns; processor time, the least of each repetition."""
    overview, bare = [], []
    for _ in range(bed.repetitions):
        pairs = [(await _cost(OVERVIEW), await _cost(BARE)) for _ in range(bed.many(STARTS))]
        overview.append(min(one for one, _ in pairs))
        bare.append(min(other for _, other in pairs))
    ours = Figure("agent-cli --help", "ms", tuple(overview))
    floor = Figure("floor: python -c pass", "ms", tuple(bare))
    return [ours, floor, ratio("agent-cli --help / floor (limit 3)", ours, floor)]


async def _cost(command: Sequence[str]) -> float:
    return await asyncio.to_thread(cost, command) * MS


def cost(command: Sequence[str]) -> float:
    """Seconds of processor time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
