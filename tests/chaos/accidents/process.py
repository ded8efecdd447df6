"""What happens to the agent's process, its disk and its clock."""

from __future__ import annotations

import asyncio
import contextlib
import random

from tests.chaos.ground import HEARTBEAT_S, Side

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0


async def kill_agent(side: Side, rng: random.Random) -> None:
    await side.agent.killed()


async def kill_agent_twice(side: Side, rng: random.Random) -> None:
    """Again while it recovers."""
    await side.agent.killed()
    await asyncio.sleep(rng.random() * 0.3)
    await side.agent.killed()


async def stop_agent(side: Side, rng: random.Random) -> None:
    await side.agent.stopped()


async def freeze_agent(side: Side, rng: random.Random) -> None:
    await side.agent.frozen(rng.uniform(0.5, 3 * HEARTBEAT_S))


async def clock_jump(side: Side, rng: random.Random) -> None:
    """Of the agent's host; the broker's and the clients' stay. It may go back, and may stay until the next."""
    ahead = rng.choice((-DAY_S, -HOUR_S, -MINUTE_S, MINUTE_S, HOUR_S, DAY_S))
    side.clock.set(ahead)
    side.teller.tell(f"  the agent's clock is {ahead:+.0f} s off")
    await asyncio.sleep(rng.uniform(0.2, 1.5))
    if rng.random() < 0.5:
        side.clock.set(0.0)
        side.teller.tell("  and right again")


async def disk_full(side: Side, rng: random.Random) -> None:
    """To the last byte of the agent's own file system."""
    ballast = side.agent.state_dir / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        await asyncio.sleep(rng.uniform(0.3, 3))
    finally:
        ballast.unlink()
