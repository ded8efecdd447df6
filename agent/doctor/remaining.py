"""Orphans on this host: found, told, and removed one by one on request.

--remove ──> our mark? ──> an orphan still? ──no──> refused, and why
                                 │ yes
                 agent stopped ──┤── agent running
    its lock is held meanwhile   │   a domain: the agent destroys it, in that instance's turn
                                 │   all else: looked at once more when nobody can begin to use it
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from agent.doctor.finding import CantCheck, Findings, ok, warning
from agent.doctor.orphans import Ground, Orphan, orphans, reason
from agent.errors import Conflict, NotFound, OperationFailed
from agent.hypervisor.remains import Kind, Remains, Thing
from agent.hypervisor.storage.blocking import look
from agent.journal.lock import StateDirLock, holder
from agent.journal.reading import Knowledge, Reader, Unreadable
from agent.journal.refusal import StartRefused
from agent.rpc.client import ComputeClient
from agent.rpc.schema import METHODS
from agent.settings import Settings

DESTROY_S = 120.0


async def check(settings: Settings) -> Findings:
    found = await find(settings)
    if not found:
        return [ok("none")]
    return [warning(f"{orphan.thing.name}{_path(orphan.thing)}: {orphan.why}", orphan.mend) for orphan in found]


def _path(thing: Thing) -> str:
    return f" ({thing.path})" if thing.path is not None else ""


async def find(settings: Settings) -> tuple[Orphan, ...]:
    """Raises CantCheck; Unavailable, TimedOut."""
    async with opened(settings) as remains:
        return orphans(await survey(settings, remains))


async def remove(settings: Settings, name: str) -> str:
    """What was done about KIND:ID. Raises NotFound for what isn't there or isn't ours, Conflict for what isn't an
    orphan or is one no more, and what `find` raises."""
    running = await _agent_runs(settings)
    async with opened(settings) as remains:
        with nullcontext() if running else _alone(settings):
            thing = _named(name, await _need_orphan(settings, remains, name))
            if running and thing.kind is Kind.DOMAIN:
                return await _destroyed(settings, thing)
            still = partial(_still, settings, remains, thing)
            if not await remains.remove(thing, still):
                raise Conflict(f"{name} is no orphan any more: it was left alone")
            await _need_gone(remains, thing)
            return f"removed {name}"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """No agent starts meanwhile. A lock file that we made wouldn't be the agent's."""
    lock = StateDirLock(settings.state_dir, f"agent-cli doctor on {settings.host}")
    if not lock.path.exists():
        raise CantCheck(f"no agent has ever run in {settings.state_dir}")
    try:
        lock.acquire()
    except StartRefused as taken:
        raise Conflict(f"nothing was touched: {taken}") from taken
    try:
        yield
    finally:
        lock.release()


def _named(name: str, things: tuple[Thing, ...]) -> Thing:
    return next(thing for thing in things if thing.name == name)


async def _need_orphan(settings: Settings, remains: Remains, name: str) -> tuple[Thing, ...]:
    ground = await survey(settings, remains)
    known = [thing for thing in ground.inventory.things if thing.name == name]
    if not known:
        raise NotFound(f"there is no {name} of this agent's on this host; nothing was touched")
    if reason(known[0], ground) is None:
        raise Conflict(f"{name} is no orphan: its instance or an operation needs it; nothing was touched")
    return tuple(known)


async def _still(settings: Settings, remains: Remains, thing: Thing) -> bool:
    """A directory that was renamed meanwhile is judged as the one that it was."""
    return reason(thing, await survey(settings, remains)) is not None


async def _need_gone(remains: Remains, thing: Thing) -> None:
    left = await remains.inventory()
    if thing.name in {other.name for other in left.things}:
        raise OperationFailed(f"{thing.name} is still there: something uses it")


async def _destroyed(settings: Settings, thing: Thing) -> str:
    """By the agent that runs: changes of an instance are its alone."""
    client = ComputeClient(settings.amqp, exchange=settings.rpc.exchange, topic=settings.rpc.topic)
    async with client:
        args = {"instance_uuid": str(thing.instance)}
        await client.call(METHODS["destroy"], settings.host, args, timeout=DESTROY_S)
    return f"removed {thing.name}: the agent destroyed it, its disks too"


async def survey(settings: Settings, remains: Remains) -> Ground:
    """The inventory first, then the journal: see `hypervisor.remains`."""
    inventory = await remains.inventory()
    path = settings.state_dir / "journal.db"
    knowledge = await look(lambda: _knowledge(path), "reading the journal")
    if knowledge.host not in (None, settings.host):
        # What is ours is told by the host's name: under another name each guest here would look like nobody's.
        raise CantCheck(
            f"{path} is the journal of host {knowledge.host!r}, the settings say {settings.host!r}",
            "run this with the agent's own settings",
        )
    return Ground(inventory, knowledge, await _agent_runs(settings))


async def _agent_runs(settings: Settings) -> bool:
    """Who holds the lock may be this doctor himself."""
    pid = await look(lambda: holder(settings.state_dir), "looking for the agent")
    return pid not in (None, os.getpid())


def _knowledge(path: Path) -> Knowledge:
    try:
        with Reader.open(path) as journal:
            return journal.knowledge()
    except FileNotFoundError as error:
        raise CantCheck(f"there is no journal at {path}, so nobody can say what is an orphan") from error
    except (PermissionError, Unreadable) as error:
        raise CantCheck(str(error), "run this as root or as the agent's user") from error


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Remains]:
    """The driver that the settings name; each is imported only when it is used."""
    remains = _driver(settings)
    try:
        yield remains
    finally:
        await remains.close()


def _driver(settings: Settings) -> Remains:
    if settings.hypervisor.driver == "fake":
        from agent.hypervisor.fake.remains import FakeRemains

        if not (settings.state_dir / "world").is_dir():
            raise CantCheck(f"there is no fake world in {settings.state_dir}", "start the agent: it makes one")
        return FakeRemains(settings.state_dir, settings.host)
    from agent.doctor.libvirtd import door
    from agent.hypervisor.libvirt.remains import LibvirtRemains

    return LibvirtRemains(door(settings), settings.host, settings.state_dir / "instances")
