"""What stands for libvirt in tests of the executor: connections, and calls that hang until they are let go."""

from __future__ import annotations

import asyncio
import threading

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
        self.refuse: Exception | None = None

    def open(self) -> Line:
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
