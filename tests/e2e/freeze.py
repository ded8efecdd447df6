"""Stopping what the agent relies on: SIGSTOP, and whom."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.rig.processes import await_standstill


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Alive and deaf inside; goes on after."""
    os.kill(pid, signal.SIGSTOP)
    try:
        await_standstill(pid)
        yield
    finally:
        with suppress(ProcessLookupError):  # it was ended inside
            os.kill(pid, signal.SIGCONT)


def qemu(uuid: str) -> int:
    """The process of a guest. Raises LookupError."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"\0-uuid\0{uuid}\0" in (process / "cmdline").read_text():
                return int(process.name)
        except OSError:  # it ended meanwhile
            continue
    raise LookupError(f"no QEMU of {uuid} runs")
