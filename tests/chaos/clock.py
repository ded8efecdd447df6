"""The time of day as the agent's process sees it, and nobody else: this box's clock isn't touched.

A small library is preloaded into the agent; it adds what a file says to the kernel's answer (clock.c). So the
clock jumps while the agent runs, and durations are counted as before.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.rig.processes import run

SOURCE = Path(__file__).with_name("clock.c")
NANOSECONDS = 10**9


class Clock:
    """`low` and `high`: how far from the real time it was, in seconds, since `forget` was called."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._library = directory / "clock.so"
        self._file = directory / "clock"
        run("gcc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE), "-ldl")
        self._ahead = 0.0
        self.set(0.0)
        self.forget()

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that shall see this time."""
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)}

    def set(self, ahead: float) -> None:
        """Seconds ahead of the real time; negative: behind."""
        flags = os.O_WRONLY | os.O_CREAT
        file = os.open(self._file, flags, 0o644)
        try:
            os.pwrite(file, struct.pack("=q", int(ahead * NANOSECONDS)), 0)
        finally:
            os.close(file)
        self._ahead = ahead
        self.low = min(getattr(self, "low", ahead), ahead)
        self.high = max(getattr(self, "high", ahead), ahead)

    def forget(self) -> None:
        self.low = self.high = self._ahead
