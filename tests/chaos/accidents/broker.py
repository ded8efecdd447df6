"""What happens to the broker."""

from __future__ import annotations

import asyncio
import random

from tests.chaos.ground import HEARTBEAT_S, Ground


async def restart_broker(ground: Ground, rng: random.Random) -> None:
    """Refusals go with it: they aren't persistent, as whoever was refused may ask again."""
    ground.distrust()
    await asyncio.to_thread(ground.broker.restart)


async def kill_broker(ground: Ground, rng: random.Random) -> None:
    ground.distrust()
    await asyncio.to_thread(ground.broker.kill)
    await asyncio.sleep(rng.random())
    await asyncio.to_thread(ground.broker.start)


async def freeze_broker(ground: Ground, rng: random.Random) -> None:
    ground.broker.freeze()
    try:
        await asyncio.sleep(rng.uniform(0.5, 3 * HEARTBEAT_S))
    finally:
        ground.broker.thaw()


async def memory_alarm(ground: Ground, rng: random.Random) -> None:
    await asyncio.to_thread(ground.broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.00001")
    try:
        await asyncio.sleep(rng.uniform(0.5, 3))
    finally:
        await asyncio.to_thread(ground.broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.6")
