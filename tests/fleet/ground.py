"""A broker, many agents on it, and what the broker says of them."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import AgentError
from agent.rpc.client import ComputeClient
from agent.rpc.schema.params import Ping
from tests.bench.meters import cpu, holding
from tests.rig import Broker

TOGETHER = 25
"""Agents in one process."""
PATIENCE_S = 600.0
ASKED_AT_ONCE = 32


def allow_many_files() -> None:
    """For this process and all that it starts: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@dataclass(frozen=True)
class Held:
    """What there is on the broker. `rss` in MiB: resident, as RabbitMQ's own alarm counts it. What Erlang
    says it has handed out is much more on loopback: the kernel gives those connections large buffers."""

    connections: int
    channels: int
    consumers: int
    classic: int
    quorum: int
    processes: int
    rss: float


def held(broker: Broker) -> Held:
    kinds = [row["type"] for row in _table(broker, "list_queues", "type")]
    return Held(
        connections=len(_table(broker, "list_connections", "pid")),
        channels=len(_table(broker, "list_channels", "pid")),
        consumers=len(_table(broker, "list_consumers", "queue_name")),
        classic=sum("classic" in kind for kind in kinds),
        quorum=sum("quorum" in kind for kind in kinds),
        processes=int(broker.rabbitmqctl("eval", "erlang:system_info(process_count).")),
        rss=holding(broker.pid).rss_kib / 1024,
    )


def connected_at(broker: Broker) -> list[float]:
    """When each connection was made, seconds since 1970."""
    return sorted(row["connected_at"] / 1000 for row in _table(broker, "list_connections", "connected_at"))


def _table(broker: Broker, what: str, *columns: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(broker.rabbitmqctl(what, *columns, "--formatter", "json"))
    return found


@asynccontextmanager
async def fleet(broker: Broker, directory: Path, hosts: Sequence[str]) -> AsyncIterator[list[int]]:
    """All of them answer, started a process at a time; the pids. Killed in the end: nobody looks at them then."""
    processes = list[subprocess.Popen[bytes]]()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPUTE_AGENT_")}
    environment |= {"COMPUTE_AGENT_AMQP__URL": broker.url, "COMPUTE_AGENT_CONFIG": os.devnull}
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.fleet.agents", str(directory)]
    with (directory / "agents.log").open("w") as log:
        try:
            for first in range(0, len(hosts), TOGETHER):
                some = hosts[first : first + TOGETHER]
                processes.append(subprocess.Popen([*command, *some], env=environment, stderr=log))
                await answering(broker, some, lambda: _all_run(processes, directory / "agents.log"))
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _all_run(processes: Sequence[subprocess.Popen[bytes]], log: Path) -> None:
    if any(process.poll() is not None for process in processes):
        raise RuntimeError(f"agents have ended:\n{log.read_text(errors='replace')[-4000:]}")


async def answering(broker: Broker, hosts: Sequence[str], check: Callable[[], None] = lambda: None) -> None:
    """Wait until each of them answers. Raises TimeoutError, and what `check` raises, which is called meanwhile."""
    at_once = asyncio.Semaphore(ASKED_AT_ONCE)
    async with asyncio.timeout(PATIENCE_S), ComputeClient(broker.url) as compute:

        async def answers(host: str) -> None:
            async with at_once:
                while True:
                    try:
                        await compute.ping(host, Ping(), timeout=5)
                    except AgentError:
                        check()
                        await asyncio.sleep(0.2)
                    else:
                        return

        await asyncio.gather(*map(answers, hosts))


async def busy(pids: Sequence[int], seconds: float) -> float:
    """The part of one core that these processes take, over so many seconds."""
    before, began = sum(map(cpu, pids)), time.monotonic()
    await asyncio.sleep(seconds)
    return (sum(map(cpu, pids)) - before) / (time.monotonic() - began)
