"""A call that was given up and goes on in its worker keeps others from its instance, and from no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import cast
from uuid import UUID, uuid4

import pytest

from agent.errors import TimedOut, Unavailable
from agent.hypervisor.doubts import Doubts
from agent.hypervisor.libvirt.api import Connection
from agent.hypervisor.libvirt.threads import Threads
from tests.unit.hypervisor.libvirt.lines import once

Work = Callable[[Connection], int]

A, B = uuid4(), uuid4()
SHORT, LONG = 0.05, 10.0


class Lines:
    """Supplies nothing: what is called here needs no connection."""

    def open(self) -> Connection:
        return cast("Connection", self)

    def usable(self, resource: Connection) -> bool:
        return True

    def close(self, resource: Connection) -> None:
        return


class Ground:
    def __init__(self) -> None:
        self.doubts = Doubts(self._look)
        self.began, self.go_on = threading.Event(), threading.Event()
        self.threads: Threads[Connection] = Threads(Lines(), {"change": 2})

    async def _look(self, _: UUID) -> object:
        raise AssertionError("every call here is answered")

    async def change(self, work: Work, uuid: UUID = A, timeout: float = LONG) -> int:
        with self.doubts.change(uuid) as change:
            return await self.threads.call("change", change.watched(work), what="x", timeout=timeout)

    def hang(self, _: Connection) -> int:
        self.began.set()
        self.go_on.wait()
        return 1


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    made = Ground()
    yield made
    made.go_on.set()
    assert await made.threads.close(LONG)


def quick(_: Connection) -> int:
    return 2


async def test_what_comes_after_a_call_that_hangs_waits_until_it_has_returned(ground: Ground) -> None:
    with pytest.raises(TimedOut):
        await (await once(ground.began, ground.change(ground.hang, timeout=SHORT)))
    for _ in range(2):
        with pytest.raises(Unavailable, match="hasn't returned yet"):
            await ground.change(quick)
    assert await ground.change(quick, B) == 2
    ground.go_on.set()
    await asyncio.wait_for(ground.doubts.settle(A), LONG)
    assert await ground.change(quick) == 2


async def test_a_cancelled_call_that_goes_on_is_waited_for_too(ground: Ground) -> None:
    call = await once(ground.began, ground.change(ground.hang, timeout=0.3))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(Unavailable):
        await ground.change(quick)
    ground.go_on.set()
    await asyncio.wait_for(ground.doubts.settle(A), LONG)
    assert await ground.change(quick) == 2


async def test_a_call_that_was_never_begun_gates_nothing(ground: Ground) -> None:
    busy = [ground.threads.call("change", ground.hang, what="x", timeout=LONG) for _ in range(2)]
    others = asyncio.gather(*busy)
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="not begun"):
        await ground.change(quick, timeout=SHORT)
    ground.go_on.set()
    await others
    assert await ground.change(quick) == 2


async def test_an_error_gates_nothing(ground: Ground) -> None:
    def fail(_: Connection) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ground.change(fail)
    assert await ground.change(quick) == 2
