"""All that a round stands on: one broker, and beside each other on it an agent with make-believe guests and one
with libvirt's, each with its own link, clients and host. Made once, used by every round."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.chaos.agent import Agent
from tests.chaos.clock import Clock
from tests.chaos.coverage import Deck, Place
from tests.chaos.hosts import FakeHost, Files, LibvirtHost
from tests.chaos.load import Aim, Asked, Client, Listener, Load, Mail
from tests.chaos.places import fake_places, libvirt_places
from tests.chaos.proxy import Proxy
from tests.chaos.story import Story, Teller
from tests.rig import Broker, Libvirtd
from tests.rig.processes import run

HEARTBEAT_S = 2
CLIENTS = 3
STATE_MB = 48

PLACES: dict[str, Callable[[], list[Place]]] = {"fake": fake_places, "libvirt": libvirt_places}


@dataclass
class Side:
    """One agent and its surroundings. `asked` is all that was ever asked; `disturbed`: instances whose power
    somebody else changed. Of this round: `aims`, where it shall die, `coming`, its requests, and `before`, the
    number of the last operation that was accepted before it."""

    teller: Teller
    broker: Broker
    link: Proxy
    clock: Clock
    agent: Agent
    host: FakeHost | LibvirtHost
    listener: Listener
    clients: list[Client]
    load: Load
    mail: Mail
    deck: Deck
    asked: dict[str, Asked]
    aims: list[Aim] = field(default_factory=list)
    coming: list[Asked] = field(default_factory=list)
    before: int = 0
    disturbed: set[str] = field(default_factory=set)
    retries: dict[str, int] = field(default_factory=dict)

    @property
    def driver(self) -> str:
        return self.host.driver

    def distrust(self) -> None:
        """The broker may have lost what it has confirmed, requests and answers: all are sent again this round."""
        for request in self.coming:
            request.trusting = False

    def is_over(self, aim: Aim) -> bool:
        """Whether nobody comes by there any more: all is answered."""
        return all(request.answered.is_set() for request in self.coming if request.instance == aim.instance)

    @property
    def journal(self) -> Path:
        return self.agent.state_dir / "journal.db"


@dataclass
class Ground:
    """`only`: part of the names of the accidents that may happen."""

    story: Story
    broker: Broker
    sides: list[Side]
    only: str = ""

    @property
    def teller(self) -> Teller:
        return Teller(self.story, "")

    def distrust(self) -> None:
        for side in self.sides:
            side.distrust()


@asynccontextmanager
async def ground(directory: Path, drivers: Sequence[str], story: Story) -> AsyncIterator[Ground]:
    """`directory` is empty, short, and open to QEMU's user."""
    async with AsyncExitStack() as stack:
        broker = Broker(directory / "broker")
        stack.push_async_callback(asyncio.to_thread, broker.close)
        await asyncio.to_thread(broker.start)
        sides = [
            await stack.enter_async_context(_side(directory / driver, driver, broker, Teller(story, driver)))
            for driver in drivers
        ]
        yield Ground(story, broker, sides)


@asynccontextmanager
async def _side(directory: Path, driver: str, broker: Broker, teller: Teller) -> AsyncIterator[Side]:
    files = Files(directory / "agent" / "state", directory / "volumes")
    for path in (directory, files.volumes):
        path.mkdir()
        path.chmod(0o755)
    async with AsyncExitStack() as stack:
        stack.enter_context(_own_disk(files.state_dir, directory / "state"))
        host: FakeHost | LibvirtHost = FakeHost(files)
        if driver == "libvirt":
            libvirtd = Libvirtd(directory / "libvirt")
            stack.push_async_callback(asyncio.to_thread, libvirtd.stop)
            await asyncio.to_thread(libvirtd.start)
            host = LibvirtHost(files, libvirtd)
        await asyncio.to_thread(host.prepare)
        link = await stack.enter_async_context(Proxy("127.0.0.1", broker.identity.port))
        clock = Clock(directory / "clock")
        environment = _environment(broker, link, directory, host) | clock.environment
        # A host's name, as the broker's other user has another.
        agent = Agent(directory / "agent", f"{driver}-{broker.identity.node[4:12]}", environment, teller)
        yield await stack.enter_async_context(_running(teller, broker, link, clock, agent, host))


@asynccontextmanager
async def _running(
    teller: Teller, broker: Broker, link: Proxy, clock: Clock, agent: Agent, host: FakeHost | LibvirtHost
) -> AsyncIterator[Side]:
    asked: dict[str, Asked] = {}
    mail, listener = Mail(), Listener(broker.url, agent.host)
    clients = [Client(broker.url, agent.host, str(n), asked, mail) for n in range(CLIENTS)]
    kept = [listener.line, *(client.line for client in clients)]
    lines = [asyncio.create_task(line.keep()) for line in kept]
    try:
        await listener.line.ready()
        await agent.up()
        yield Side(
            teller=teller,
            broker=broker,
            link=link,
            clock=clock,
            agent=agent,
            host=host,
            listener=listener,
            clients=clients,
            load=Load(clients, teller, host),
            mail=mail,
            deck=Deck(PLACES[host.driver]()),
            asked=asked,
        )
    finally:
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
        await asyncio.to_thread(agent.kill)


@contextmanager
def _own_disk(path: Path, kept: Path) -> Iterator[None]:
    """Small and its own, so that it can be filled; made before libvirtd, whose guests shall see it. What was on it
    is kept at the end."""
    path.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={STATE_MB}m,mode=711", "chaos", str(path))
    try:
        yield
    finally:
        shutil.copytree(path, kept, ignore=shutil.ignore_patterns("*.sock", "lock"))
        run("umount", "--lazy", str(path))


def _environment(broker: Broker, link: Proxy, directory: Path, host: FakeHost | LibvirtHost) -> dict[str, str]:
    url = urlsplit(broker.url)
    through = url._replace(netloc=url.netloc.replace(f":{url.port}", f":{link.port}"))
    of_driver = {"COMPUTE_AGENT_HYPERVISOR__URI": host.libvirtd.uri} if isinstance(host, LibvirtHost) else {}
    return {
        "COMPUTE_AGENT_AMQP__URL": urlunsplit(through),
        "COMPUTE_AGENT_AMQP__HEARTBEAT_S": str(HEARTBEAT_S),
        "COMPUTE_AGENT_AMQP__RECONNECT_S": "0.3",
        "COMPUTE_AGENT_HYPERVISOR__DRIVER": host.driver,
        "COMPUTE_AGENT_HYPERVISOR__DETACH_TIMEOUT_S": "3",
        "COMPUTE_AGENT_HYPERVISOR__QUERY_TIMEOUT_S": "20",
        "COMPUTE_AGENT_STORAGE__ALLOWED_DIRECTORIES": f'["{directory}"]',
        "COMPUTE_AGENT_STORAGE__RESERVE_MB": "0",
        "COMPUTE_AGENT_LOG__FORMAT": "json",
        **of_driver,
    }
