"""All that a round stands on: broker, link, agent, clients, host. Made once, used by every round."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.chaos.agent import Agent
from tests.chaos.hosts import FakeHost, Files, LibvirtHost
from tests.chaos.load import Asked, Client, Listener, Load, Mail
from tests.chaos.proxy import Proxy
from tests.chaos.story import Story
from tests.rig import Broker, Libvirtd
from tests.rig.processes import run

HEARTBEAT_S = 2
CLIENTS = 3
STATE_MB = 48


@dataclass
class Ground:
    """`asked` is all that was ever asked; `disturbed`: instances whose power somebody else changed."""

    story: Story
    broker: Broker
    link: Proxy
    agent: Agent
    host: FakeHost | LibvirtHost
    listener: Listener
    clients: list[Client]
    load: Load
    mail: Mail
    asked: dict[str, Asked]
    only: str = ""
    """Part of the names of the accidents that may happen."""
    disturbed: set[str] = field(default_factory=set)
    retries: dict[str, int] = field(default_factory=dict)
    broker_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever does something to the broker or the link."""

    @property
    def journal(self) -> Path:
        return self.agent.state_dir / "journal.db"


@asynccontextmanager
async def ground(directory: Path, driver: str, story: Story) -> AsyncIterator[Ground]:
    """`directory` is empty, short, and open to QEMU's user."""
    volumes = directory / "volumes"
    volumes.mkdir()
    volumes.chmod(0o755)
    broker = Broker(directory / "broker")
    libvirtd = Libvirtd(directory / "libvirt")
    state_dir = directory / "agent" / "state"
    name = f"c-{broker.identity.node[4:12]}"
    state_dir.mkdir(parents=True)
    # Small and its own, so that it can be filled; before libvirtd, whose guests shall see it.
    run("mount", "-t", "tmpfs", "-o", f"size={STATE_MB}m,mode=711", "chaos", str(state_dir))
    try:
        await asyncio.to_thread(broker.start)
        if driver == "libvirt":
            await asyncio.to_thread(libvirtd.start)
        async with Proxy("127.0.0.1", broker.identity.port) as link:
            agent = Agent(
                directory / "agent", name, _environment(broker, link, libvirtd, directory, driver), story
            )
            files = Files(agent.state_dir, volumes)
            host = FakeHost(files) if driver == "fake" else LibvirtHost(files, libvirtd)
            await asyncio.to_thread(host.prepare)
            async with _running(story, broker, link, agent, host) as made:
                yield made
    finally:
        if driver == "libvirt":
            await asyncio.to_thread(libvirtd.stop)
        await asyncio.to_thread(broker.close)
        shutil.copytree(state_dir, directory / "state", ignore=shutil.ignore_patterns("*.sock", "lock"))
        run("umount", "--lazy", str(state_dir))


@asynccontextmanager
async def _running(
    story: Story, broker: Broker, link: Proxy, agent: Agent, host: FakeHost | LibvirtHost
) -> AsyncIterator[Ground]:
    asked: dict[str, Asked] = {}
    mail, listener = Mail(), Listener(broker.url, agent.host)
    clients = [Client(broker.url, agent.host, str(n), asked, mail) for n in range(CLIENTS)]
    kept = [listener.line, *(client.line for client in clients)]
    lines = [asyncio.create_task(line.keep()) for line in kept]
    try:
        await listener.line.ready()
        await agent.up()
        story.recoveries.clear()
        yield Ground(story, broker, link, agent, host, listener, clients, Load(clients, story, host), mail, asked)
    finally:
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        await asyncio.to_thread(agent.kill)


def _environment(broker: Broker, link: Proxy, libvirtd: Libvirtd, directory: Path, driver: str) -> dict[str, str]:
    url = urlsplit(broker.url)
    through = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{link.port}"))
    return {
        "COMPUTE_AGENT_AMQP__URL": urlunsplit(through),
        "COMPUTE_AGENT_AMQP__HEARTBEAT_S": str(HEARTBEAT_S),
        "COMPUTE_AGENT_AMQP__RECONNECT_S": "0.3",
        "COMPUTE_AGENT_HYPERVISOR__DRIVER": driver,
        "COMPUTE_AGENT_HYPERVISOR__URI": libvirtd.uri,
        "COMPUTE_AGENT_HYPERVISOR__DETACH_TIMEOUT_S": "3",
        "COMPUTE_AGENT_HYPERVISOR__QUERY_TIMEOUT_S": "20",
        "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": f'["{directory}"]',
        "COMPUTE_AGENT_STORAGE__RESERVE_MB": "0",
        "COMPUTE_AGENT_LOG__FORMAT": "json",
    }
