"""libvirt's events on the loop, in the words of `ports.Observation`.

        ┌──────────── connect, register, list ───────────┐
        v                                                 │ after a pause, longer each time
    LISTING ──> POWER, GONE ... ──connection lost──> LOST ┘

`driver` keeps `run` alive. One connection, the WATCH lane's, carries all events; its callbacks run in
libvirt's event thread, or in whichever thread makes a call when the connection breaks, so they only post to
the loop. Registrations die with their connection and events in between are lost: hence the listing, which is
read after registering, so that nothing falls between the two.

Only guests of ours exist here. Whose an unknown domain is, is asked once and remembered until it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import libvirt
import structlog

from agent.errors import AgentError, NotFound
from agent.hypervisor.libvirt.api import Connection, Registration
from agent.hypervisor.libvirt.connection import Lane, Libvirt
from agent.hypervisor.libvirt.lifecycle import LEADS_TO_READ, Event, Power, news_of
from agent.hypervisor.libvirt.news import DeviceGone, DeviceStays, News, Word
from agent.hypervisor.ports import DomainView, Kind, Observation

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0


class Roster(Protocol):
    """Where the watch asks what it hasn't heard."""

    made: set[UUID]
    """Guests that this agent defined: one may be gone again before it could be asked whose it was."""

    async def list(self) -> tuple[DomainView, ...]: ...

    async def power(self, uuid: UUID) -> Power:
        """Raises NotFound for what isn't there or isn't ours."""
        ...


class Topic(enum.Enum):
    LIFECYCLE = enum.auto()
    REBOOT = enum.auto()
    DEVICE_GONE = enum.auto()
    DEVICE_STAYS = enum.auto()


@dataclass(frozen=True, slots=True)
class Said:
    """One event as libvirt said it."""

    topic: Topic
    uuid: UUID
    at: datetime
    event: int = 0
    detail: int = 0
    alias: str = ""


class Inbox:
    """What one connection says, carried to the loop. After `close` nothing is kept: a connection that nobody
    listens to any more may go on talking."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[Said | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._open = True

    def post(self, said: Said | None) -> None:
        """From any thread. None: the connection is lost."""
        if self._open:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._said.put_nowait, said)

    async def get(self) -> Said | None:
        return await self._said.get()

    def close(self) -> None:
        self._open = False


class Watch:
    """Hears libvirt, remembers each guest's last power state, and tells what changed."""

    def __init__(self, libvirt: Libvirt, roster: Roster, news: News) -> None:
        self._libvirt = libvirt
        self._roster = roster
        self._news = news
        self._line = _Line()
        self._out: asyncio.Queue[Observation] = asyncio.Queue()
        self._last: dict[UUID, Power | None] = {}  # ours; None: nothing is known of its power
        self._others: set[UUID] = set()

    async def observations(self) -> AsyncIterator[Observation]:
        """Endless; one reader only."""
        while True:
            yield await self._out.get()

    async def run(self) -> None:
        """Until cancelled. Whatever goes wrong with libvirt, XML that can't be read too, is LOST, and tried again:
        one domain that isn't understood mustn't end the agent of all others."""
        pause, lost = FIRST_PAUSE_S, False
        try:
            while True:
                inbox = Inbox()
                try:
                    await self._connect(inbox)
                    await self._list()
                    pause, lost = FIRST_PAUSE_S, False
                    await self._hear_all(inbox)
                    log.warning("libvirt is lost")
                except (AgentError, ValueError) as error:
                    log.warning("libvirt can't be watched", error=str(error))
                finally:
                    inbox.close()
                if not lost:
                    self._tell(Kind.LOST)
                lost = True
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
                pause = min(pause * 2, LONGEST_PAUSE_S)
        finally:
            with contextlib.suppress(AgentError):
                await self._libvirt.call(
                    Lane.WATCH, lambda _: self._line.hang_up(), what="ending the watch", timeout=2
                )

    async def _connect(self, inbox: Inbox) -> None:
        before, self._line = self._line, _Line()
        listen = partial(self._line.listen, inbox.post, before)
        await self._libvirt.call(Lane.WATCH, listen, what="listening for events")

    async def _list(self) -> None:
        domains = await self._roster.list()
        self._others.clear()
        self._last = {domain.uuid: Power(domain.power_state, domain.reason) for domain in domains}
        self._roster.made.intersection_update(self._last)
        self._tell(Kind.LISTING, domains=domains)
        for uuid, power in self._last.items():
            if power is not None:
                self._news.tell(uuid, power)

    async def _hear_all(self, inbox: Inbox) -> None:
        """Until the connection is lost. An AgentError means that something was heard and not understood."""
        while (said := await inbox.get()) is not None:
            match said.topic:
                case Topic.LIFECYCLE:
                    await self._hear_lifecycle(said)
                case Topic.REBOOT:
                    self._news.tell(said.uuid, Word.REBOOTED)
                case Topic.DEVICE_GONE:
                    self._news.tell(said.uuid, DeviceGone(said.alias))
                case Topic.DEVICE_STAYS:
                    self._news.tell(said.uuid, DeviceStays(said.alias))

    async def _hear_lifecycle(self, said: Said) -> None:
        match said.event:
            case Event.DEFINED:
                await self._hear_defined(said)
            case Event.UNDEFINED:
                await self._hear_undefined(said)
            case _:
                await self._hear_power(said)

    async def _hear_defined(self, said: Said) -> None:
        self._others.discard(said.uuid)
        if said.uuid not in self._last and (power := await self._read(said.uuid)) is not None:
            # One that runs already was started since: its events are still to come, and are news.
            self._last[said.uuid] = None if power.on else power

    async def _hear_undefined(self, said: Said) -> None:
        self._others.discard(said.uuid)
        known = said.uuid in self._last or said.uuid in self._roster.made
        if known and await self._read(said.uuid) is None and not self._is_on(said.uuid):
            self._forget(said)

    def _is_on(self, uuid: UUID) -> bool:
        """By what was heard so far. One that is gone by now has stopped meanwhile: that is still to be heard, and
        is told before it is forgotten."""
        last = self._last.get(uuid)
        return last is not None and last.on

    async def _hear_power(self, said: Said) -> None:
        if not await self._is_ours(said.uuid):
            return
        last = self._last[said.uuid]
        reads = last is None or said.event in LEADS_TO_READ
        now = await self._read(said.uuid) if reads else None
        power = news_of(said.event, said.detail, last, now)
        if power is not None:
            self._last[said.uuid] = power
            self._tell(Kind.POWER, at=said.at, uuid=said.uuid, state=power.state, reason=power.reason)
            self._news.tell(said.uuid, power)
        if reads and now is None:
            self._forget(said)  # it was undefined while it ran, and ended with that

    async def _is_ours(self, uuid: UUID) -> bool:
        if uuid in self._last:
            return True
        if uuid in self._others:
            return False
        ours = await self._read(uuid) is not None
        if ours:
            self._last[uuid] = None
        else:
            self._others.add(uuid)
        return ours

    async def _read(self, uuid: UUID) -> Power | None:
        """None: it isn't there, or isn't ours."""
        try:
            return await self._roster.power(uuid)
        except NotFound:
            return None

    def _forget(self, said: Said) -> None:
        self._last.pop(said.uuid, None)
        self._roster.made.discard(said.uuid)
        self._tell(Kind.GONE, at=said.at, uuid=said.uuid)

    def _tell(self, kind: Kind, *, at: datetime | None = None, **more: Any) -> None:
        self._out.put_nowait(Observation(kind, at or datetime.now(UTC), **more))


@dataclass
class _Line:
    """The registrations on one connection. Both methods run in the WATCH lane's thread."""

    connection: Connection | None = None
    registrations: list[Registration] = field(default_factory=list)

    def listen(self, post: Callable[[Said | None], None], before: _Line, connection: Connection) -> None:
        """Registers everything, once: libvirt refuses to register an event twice on a connection."""
        before.hang_up()
        self.connection = connection
        connection.registerCloseCallback(lambda *_: post(None), None)
        for number, callback in _callbacks(post).items():
            self.registrations.append(connection.domainEventRegisterAny(None, number, callback, None))

    def hang_up(self) -> None:
        """Also from a dead connection: its registrations keep it from being freed."""
        connection, self.connection = self.connection, None
        registrations, self.registrations = self.registrations, []
        if connection is None:
            return
        for registration in registrations:
            with contextlib.suppress(libvirt.libvirtError):
                connection.domainEventDeregisterAny(registration)
        with contextlib.suppress(libvirt.libvirtError):
            connection.unregisterCloseCallback()


def _callbacks(post: Callable[[Said | None], None]) -> dict[int, Callable[..., None]]:
    """By event id. They run in libvirt's threads: no libvirt call but for a domain's uuid, which asks nobody."""

    def lifecycle(_: Any, domain: Any, event: int, detail: int, __: object) -> None:
        post(Said(Topic.LIFECYCLE, UUID(domain.UUIDString()), datetime.now(UTC), event, detail))

    def reboot(_: Any, domain: Any, __: object) -> None:
        post(Said(Topic.REBOOT, UUID(domain.UUIDString()), datetime.now(UTC)))

    def gone(_: Any, domain: Any, alias: str, __: object) -> None:
        post(Said(Topic.DEVICE_GONE, UUID(domain.UUIDString()), datetime.now(UTC), alias=alias))

    def stays(_: Any, domain: Any, alias: str, __: object) -> None:
        post(Said(Topic.DEVICE_STAYS, UUID(domain.UUIDString()), datetime.now(UTC), alias=alias))

    return {
        libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: lifecycle,
        libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: reboot,
        libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: gone,
        libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED: stays,
    }
