"""One after another for each key, side by side for different keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.rpc.lanes import Lanes


def work(log: list[str], name: str, until: asyncio.Event | None = None) -> Callable[[], Awaitable[None]]:
    async def do() -> None:
        log.append(f"{name} begins")
        if until is not None:
            await until.wait()
        log.append(f"{name} ends")

    return do


async def test_work_with_one_key_runs_in_order() -> None:
    lanes, log = Lanes(), list[str]()
    tasks = [lanes.submit("a", work(log, str(number))) for number in range(3)]
    await asyncio.gather(*tasks)
    assert log == ["0 begins", "0 ends", "1 begins", "1 ends", "2 begins", "2 ends"]


async def test_work_with_different_keys_does_not_wait() -> None:
    lanes, log, gate = Lanes(), list[str](), asyncio.Event()
    first = lanes.submit("a", work(log, "slow", gate))
    behind = lanes.submit("a", work(log, "behind"))
    await lanes.submit("b", work(log, "other"))
    assert log == ["slow begins", "other begins", "other ends"]
    gate.set()
    await asyncio.gather(first, behind)


async def test_failed_work_lets_the_next_go_on() -> None:
    lanes, log = Lanes(), list[str]()

    async def fail() -> None:
        raise ValueError("no")

    failed = lanes.submit("a", fail)
    await lanes.submit("a", work(log, "next"))
    assert log == ["next begins", "next ends"]
    assert isinstance(failed.exception(), ValueError)


async def test_nothing_is_kept_of_ended_lanes() -> None:
    lanes = Lanes()
    await asyncio.gather(*[lanes.submit(number % 7, work([], "x")) for number in range(50)])
    await asyncio.sleep(0)
    assert not lanes._last
