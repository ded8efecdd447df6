"""What stands for libvirt in tests of the executor: connections, and calls that hang until they are let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

LONG = 20.0
SHORT = 0.05


class Line:
    """The resource: what a connection is to libvirt."""

    def __init__(self) -> None:
        self.usable = True
        self.closed = threading.Event()
        self.thread = threading.current_thread()


class Lines:
    """Opens lines; while `open_gate` is shut, opening hangs."""

    def __init__(self) -> None:
        self.opened: list[Line] = []
        self.open_gate = threading.Event()
        self.open_gate.set()
        self.opening = threading.Event()
        self.refuse: Exception | None = None

    def open(self) -> Line:
        self.opening.set()
        self.open_gate.wait(LONG)
        if self.refuse is not None:
            raise self.refuse
        self.opened.append(Line())
        return self.opened[-1]

    def usable(self, line: Line) -> bool:
        return line.usable

    def close(self, line: Line) -> None:
        line.closed.set()


class Hang:
    """A call that hangs until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()

    def __call__(self, line: Line) -> Line:
        self.began.set()
        self.go.wait(LONG)
        return line

    async def until_begun(self) -> None:
        await asyncio.to_thread(self.began.wait, LONG)


async def once(begun: threading.Event, call: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """The call, under way when `begun` is set. The loop stands still until then, and with it the call's deadline:
    however late its worker is, the call isn't given up before it was begun."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    assert begun.wait(LONG)
    return task
