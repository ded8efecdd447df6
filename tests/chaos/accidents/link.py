"""What happens on the agent's way to the broker, and to its queues."""

from __future__ import annotations

import asyncio
import random

from tests.chaos.ground import HEARTBEAT_S, Side


async def cut_link(side: Side, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 3)):
        side.teller.tell(f"  {side.link.cut()} ends reset")
        await asyncio.sleep(rng.random())


async def stall_link(side: Side, rng: random.Random) -> None:
    side.link.freeze()
    try:
        await asyncio.sleep(rng.uniform(0.2, 3 * HEARTBEAT_S))
    finally:
        side.link.mend()


async def half_open_link(side: Side, rng: random.Random) -> None:
    link = side.link
    link.drop(rng.choice(([link.up], [link.down], [link.up, link.down])))
    try:
        await asyncio.sleep(rng.uniform(0.2, 3 * HEARTBEAT_S))
    finally:
        link.mend()


async def delete_queue(side: Side, rng: random.Random) -> None:
    """With what is in it: whoever wasn't answered asks again."""
    side.distrust()
    name = f"compute.{side.agent.host}" + rng.choice(("", "", ".query"))
    done = await rng.choice(side.clients).line.delete_queue(name)
    side.teller.tell(f"  queue {name} {'deleted' if done else 'not deleted'}")
