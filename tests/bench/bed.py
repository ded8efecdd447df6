"""What a bench stands on. Daemons are started when a bench first asks for them, and are the same for all."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from agent.hypervisor.fake.world import HostConfig
from tests.e2e.daemon import Daemon
from tests.rig import Broker, Libvirtd

IN_MEMORY = Path("/dev/shm")
LARGE = HostConfig(vcpus=1_000_000, memory_mb=1_000_000_000)
"""A make-believe host on which guests never lack room."""


@dataclass
class Bed:
    """`repetitions` of each measurement; `part` scales how much is done in each, 1.0 for a figure to be quoted."""

    directory: Path
    repetitions: int = 5
    part: float = 1.0
    _ends: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def broker(self) -> Broker:
        return self._ends.enter_context(Broker(self.directory / "broker"))

    @cached_property
    def libvirtd(self) -> Libvirtd:
        return self._ends.enter_context(Libvirtd(self.directory / "libvirt"))

    def many(self, number: int) -> int:
        """`number` of things, or that part of it that was asked for."""
        return max(1, round(number * self.part))

    @asynccontextmanager
    async def agent(
        self, settings: Mapping[str, str] | None = None, *, in_memory: bool = False
    ) -> AsyncIterator[Daemon]:
        """A daemon of its own name, ready, on the fake driver unless `settings` say otherwise; `settings` as in
        `{"HYPERVISOR__DRIVER": "libvirt"}`. `in_memory`: its state lies where a sync costs nothing."""
        host = f"b-{uuid4().hex[:8]}"
        environment = {
            "COMPUTE_AGENT_AMQP__URL": self.broker.url,
            "COMPUTE_AGENT_HYPERVISOR__DRIVER": "fake",
            "COMPUTE_AGENT_LOG__FORMAT": "json",
            **{f"COMPUTE_AGENT_{name}": value for name, value in (settings or {}).items()},
        }
        daemon = Daemon(self.directory / host, host, environment)
        away = Path(tempfile.mkdtemp(dir=IN_MEMORY)) if in_memory else None
        if away is not None:
            daemon.state_dir = away
            daemon.environment["COMPUTE_AGENT_STATE_DIR"] = str(away)
        world = daemon.state_dir / "world"
        world.mkdir(parents=True)
        (world / "host.json").write_text(LARGE.model_dump_json())
        try:
            await asyncio.to_thread(daemon.start)
            yield daemon
        finally:
            await asyncio.to_thread(daemon.kill)
            if away is not None:
                shutil.rmtree(away, ignore_errors=True)

    def close(self) -> None:
        self._ends.close()
