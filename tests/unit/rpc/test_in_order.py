"""One after another for each key, side by side for different keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.rpc.in_order import InOrder


def work(log: list[str], name: str, until: asyncio.Event | None = None) -> Callable[[], Awaitable[None]]:
    async def do() -> None:
        log.append(f"{name} begins")
        if until is not None:
            await until.wait()
        log.append(f"{name} ends")

    return do


async def test_work_with_one_key_runs_in_order() -> None:
    in_order, log = InOrder(), list[str]()
    tasks = [in_order.submit("a", work(log, str(number))) for number in range(3)]
    await asyncio.gather(*tasks)
    assert log == ["0 begins", "0 ends", "1 begins", "1 ends", "2 begins", "2 ends"]


async def test_work_with_different_keys_does_not_wait() -> None:
    in_order, log, gate = InOrder(), list[str](), asyncio.Event()
    first = in_order.submit("a", work(log, "slow", gate))
    behind = in_order.submit("a", work(log, "behind"))
    await in_order.submit("b", work(log, "other"))
    assert log == ["slow begins", "other begins", "other ends"]
    gate.set()
    await asyncio.gather(first, behind)


async def test_what_comes_after_the_first_has_ended_waits_for_the_second() -> None:
    in_order, log, gate = InOrder(), list[str](), asyncio.Event()
    first = in_order.submit("a", work(log, "first"))
    second = in_order.submit("a", work(log, "second", gate))
    await first
    third = in_order.submit("a", work(log, "third"))
    await in_order.submit("b", work(log, "other"))
    assert "third begins" not in log
    gate.set()
    await asyncio.gather(second, third)
    assert log[-3:] == ["second ends", "third begins", "third ends"]


async def test_failed_work_lets_the_next_go_on() -> None:
    in_order, log = InOrder(), list[str]()

    async def fail() -> None:
        raise ValueError("no")

    failed = in_order.submit("a", fail)
    await in_order.submit("a", work(log, "next"))
    assert log == ["next begins", "next ends"]
    assert isinstance(failed.exception(), ValueError)


async def test_nothing_is_kept_of_ended_work() -> None:
    in_order = InOrder()
    await asyncio.gather(*[in_order.submit(number % 7, work([], "x")) for number in range(50)])
    await asyncio.sleep(0)
    assert not in_order._last
