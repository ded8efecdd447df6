"""The agent under test: started again by us whenever it ends, as systemd would do it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.chaos.story import Teller
from tests.e2e.daemon import Daemon

STARTS = 12
READY_S = 90.0
REFUSAL = b"compute-agent: "


class Agent(Daemon):
    """An end that nobody arranged is told in `surprises`."""

    def __init__(self, directory: Path, host: str, environment: Mapping[str, str], teller: Teller) -> None:
        super().__init__(directory, host, environment)
        # Whatever ends us, it doesn't stay.
        self.command = ["setpriv", "--pdeathsig", "KILL", *self.command]
        self._teller = teller
        self._read = 0
        self.surprises: list[str] = []

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def lines(self) -> list[dict[str, Any]]:
        """What is new in the log, without what it says plainly to who starts it: that it can't."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new, _, cut = log.read().rpartition(b"\n")
            self._read = log.tell() - len(cut)
        return [json.loads(line) for line in new.splitlines() if line and not line.startswith(REFUSAL)]

    async def up(self) -> None:
        """Start it, and again when a start is refused: the broker may still hold its last connection."""
        began = time.monotonic()
        for left in reversed(range(STARTS)):
            try:
                await asyncio.to_thread(self.start, READY_S)
            except RuntimeError as error:
                self._teller.count("starts refused")
                self._teller.tell(f"agent: not started: {str(error).splitlines()[-1][:200]}")
                if not left:
                    raise
                await asyncio.sleep(1)
            else:
                break
        self._teller.started(time.monotonic() - began)
        self._teller.tell(f"agent: ready again after {time.monotonic() - began:.1f} s")

    async def killed(self) -> None:
        """SIGKILL, and up again."""
        await asyncio.to_thread(self.kill)
        await self.up()

    async def stopped(self) -> None:
        """SIGTERM, and up again."""
        status = await asyncio.to_thread(self.stop)
        if status:
            self.surprises.append(f"SIGTERM ended it with {status}")
        await self.up()

    async def frozen(self, seconds: float) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)

    async def dies(self, within: float) -> bool:
        """Wait for an end that was arranged; it isn't up again then. False when it didn't come."""
        end = time.monotonic() + within
        while self.alive:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        assert self._process is not None
        status = self._process.returncode
        self._gone()
        if status != -signal.SIGKILL:
            self.surprises.append(f"it ended with {status}")
        return True

    async def check(self) -> None:
        """Up, whatever had happened to it; an end that nobody arranged is a surprise."""
        if not self.alive:
            assert self._process is not None
            self.surprises.append(f"it ended by itself with {self._process.returncode}")
            self._gone()
            await self.up()
