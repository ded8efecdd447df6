"""One size of fleet: what it costs at rest, how fast guests come, how it comes back after the broker was away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from agent.rpc.client import ComputeClient
from agent.rpc.schema.instance import Instance
from examples.scheduler.claims import Claims
from examples.scheduler.scheduler import Policy, Scheduler
from tests.bench.figures import percentile
from tests.fleet.ground import PATIENCE_S, Held, answering, busy, connected_at, fleet, held
from tests.rig import Broker

REST_S = 10.0
GUESTS_EACH = 2
MOST_GUESTS = 400
AT_ONCE = 32


@dataclass(frozen=True)
class Sized:
    """Figures of one size. Times in seconds; `alone` is the broker without any agent."""

    agents: int
    start_s: float
    alone: Held
    at_rest: Held
    broker_at_rest: float
    """Part of a core."""
    agents_at_rest: float
    guests: int
    placing_s: float
    spawn_p50: float
    spawn_p95: float
    back_s: float
    """From the broker taking connections again until every agent has answered."""
    connecting_s: float
    """Between the first and the last connection made then, those of the bench aside."""
    busiest_second: int
    """Most connections made within one second then."""

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def each(self, what: Callable[[Held], float]) -> float:
        """What one agent adds to it."""
        return (what(self.at_rest) - what(self.alone)) / self.agents


async def measure(directory: Path, agents: int, say: Callable[[str], None]) -> Sized:
    hosts = [f"f{number:04}" for number in range(agents)]
    with Broker(directory / "broker") as broker:
        alone = await asyncio.to_thread(held, broker)
        began = time.monotonic()
        async with fleet(broker, directory, hosts) as pids:
            start_s = time.monotonic() - began
            say(f"{agents} agents are ready after {start_s:.0f} s")
            broker_at_rest, agents_at_rest = await asyncio.gather(busy([broker.pid], REST_S), busy(pids, REST_S))
            at_rest = await asyncio.to_thread(held, broker)
            say(f"at rest: {at_rest}; cores: broker {broker_at_rest:.2f}, agents {agents_at_rest:.2f}")
            placing_s, took = await _placed(broker, directory, hosts)
            say(f"{len(took)} guests in {placing_s:.1f} s")
            back_s, made = await _away(broker, hosts)
            say(f"all answer {back_s:.1f} s after the broker is back")
    return Sized(
        agents,
        start_s,
        alone,
        at_rest,
        broker_at_rest,
        agents_at_rest,
        len(took),
        placing_s,
        percentile(took, 0.5),
        percentile(took, 0.95),
        back_s,
        made[-1] - made[0],
        busiest(made),
    )


async def _placed(broker: Broker, directory: Path, hosts: Sequence[str]) -> tuple[float, list[float]]:
    """How long the scheduler takes for all guests, and each of them."""
    number = min(GUESTS_EACH * len(hosts), MOST_GUESTS)
    guests = [Instance(uuid=uuid4(), name=f"g-{n}", vcpus=1, memory_mb=64) for n in range(number)]
    async with ComputeClient(broker.url) as compute:
        with Claims(directory / "claims.jsonl") as claims:
            scheduler = Scheduler(compute, claims, Policy(at_once=AT_ONCE))
            running = asyncio.create_task(scheduler.run(guests, known=hosts))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await scheduler.looked.wait()
                    began = time.monotonic()
                    await scheduler.all_placed()
                return time.monotonic() - began, list(scheduler.took.values())
            finally:
                running.cancel()
                await asyncio.wait({running})


async def _away(broker: Broker, hosts: Sequence[str]) -> tuple[float, list[float]]:
    """Restart it; seconds until every agent answers, and when their connections were made."""
    await asyncio.to_thread(broker.stop)
    await asyncio.to_thread(broker.start)
    began = time.monotonic()
    await answering(broker, hosts)
    back = time.monotonic() - began
    return back, await asyncio.to_thread(connected_at, broker)


def busiest(moments: Sequence[float]) -> int:
    """Most of these, in order, that lie within one second. Pure."""
    first, most = 0, 0
    for number, moment in enumerate(moments):
        while moment - moments[first] >= 1:
            first += 1
        most = max(most, number - first + 1)
    return most
