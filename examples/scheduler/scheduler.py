"""Places guests, follows the hosts, and sees to it that each guest is on one host only.

    wanted --choose--> claimed: written down --spawn--> placed
       ^                  |                     |
       |                  |                     `-- no answer: the host is waited for, then asked again
       `---- gone: it says so, or it is silent and not_after is past

Of the hosts it knows what they tell: their reports, and what becomes of guests. What isn't told, because a host
was silent or this scheduler wasn't there, is read again. A guest that is found where it isn't placed is destroyed
there: its host was silent when it was given up, and has come back with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from agent.errors import AgentError
from agent.rpc.client import ComputeClient, Missed
from agent.rpc.schema.events import CloudEvent
from agent.rpc.schema.instance import Instance
from agent.rpc.schema.params import Destroy, GetHost, ListInstances, Spawn
from agent.rpc.schema.results import HostInfo
from examples.scheduler.answers import Next, host_is_resting, next_after
from examples.scheduler.choose import Question, choose
from examples.scheduler.claims import Claims, Sent
from examples.scheduler.hosts import Host, needs_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds."""

    silent_after: float = 180.0
    """A host that was quiet for so long is taken for away. Three times the agents' `report_interval_s`."""
    not_after: float = 600.0
    """How long a host has to begin a spawn."""
    skew: float = 5.0
    """How far clocks may be apart."""
    answer: float = 60.0
    """How long one answer is waited for, before the request is sent again."""
    rest: float = 30.0
    """How long a host isn't asked again that has said no."""
    soon: float = 1.0
    elsewhere_when_silent: bool = True
    """A host that falls silent may have started the guest before that, and guests run on without an agent. False
    leaves such a guest alone until its host speaks again: for guests of which there must never be two."""
    at_once: int = 64
    """Guests."""


class Scheduler:
    """`hosts`, `where` and `failed` are for who watches. `clock` gives seconds that only go forward."""

    def __init__(
        self,
        compute: ComputeClient,
        claims: Claims,
        policy: Policy,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compute = compute
        self._claims = claims
        self._policy = policy
        self._clock = clock
        self.hosts: dict[str, Host] = {}
        self.where: dict[UUID, set[str]] = {}
        """Guests that are wanted, and the hosts on which they were seen."""
        self.failed: dict[UUID, str] = {}
        """Guests that no host will take, and why."""
        self.waiting: dict[UUID, Mapping[str, int]] = {}
        """Guests that fit nowhere now, and how many hosts each filter took out."""
        self.took: dict[UUID, float] = {}
        """Seconds from a guest's first request to its answer, for those that this run has placed."""
        self._wanted: dict[UUID, Instance] = {}
        self._slots = asyncio.Semaphore(policy.at_once)
        self.looked = asyncio.Event()
        """Set once the hosts that were known before are read, and placing begins."""
        self._changed = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._removing: set[tuple[UUID, str]] = set()

    @property
    def placed(self) -> Mapping[UUID, str]:
        """Guest to host, of those that are wanted."""
        return {uuid: sent.host for uuid, sent in self._claims.placed.items() if uuid in self._wanted}

    async def run(self, wanted: Collection[Instance], *, known: Collection[str] = ()) -> None:
        """Place them all, and go on following until cancelled. `known` are hosts to ask at once; others are met
        by their reports."""
        self._wanted = {guest.uuid: guest for guest in wanted}
        async with (
            self._compute.events("compute.host.#", "compute.instance.#", on_missed=self._missed) as events,
            asyncio.TaskGroup() as self._group,
        ):
            self._begin(self._follow(events))
            before = {sent.host for sent in (*self._claims.open.values(), *self._claims.placed.values())}
            await asyncio.gather(*(self._read(host) for host in before | set(known)))
            self._forget_lost()
            self.looked.set()
            for guest in wanted:
                self._begin(self._place(guest))

    async def all_placed(self) -> None:
        """Wait until each guest that is wanted is placed, or failed."""
        await self.looked.wait()
        while self._wanted.keys() - self.placed.keys() - self.failed.keys():
            await self._change()

    def _forget_lost(self) -> None:
        """Guests that are wanted and were placed on hosts that have answered, and aren't there any more."""
        for uuid, sent in list(self._claims.placed.items()):
            if uuid in self._wanted and sent.host in self.hosts and sent.host not in self.where.get(uuid, set()):
                self._claims.end(sent, "gone")

    # Placing

    async def _place(self, guest: Instance) -> None:
        refused: dict[str, float] = {}
        async with self._slots:
            began: float | None = None
            while guest.uuid not in self.placed and guest.uuid not in self.failed:
                earlier = self._claims.open.get(guest.uuid)
                sent = earlier or await self._claim(guest, refused)
                began = began or self._clock()
                await self._settle(guest, sent, refused, again=earlier is not None)
            if began is not None and guest.uuid in self.placed:
                self.took[guest.uuid] = self._clock() - began
        self._tell()

    async def _claim(self, guest: Instance, refused: Mapping[str, float]) -> Sent:
        """Wait for a host, and take room on it."""
        while (host := self._host_for(guest, refused)) is None:
            await self._change(timeout=1.0)
        self.waiting.pop(guest.uuid, None)
        return self._claims.begin(
            guest.uuid, host.name, datetime.now(UTC) + timedelta(seconds=self._policy.not_after)
        )

    def _host_for(self, guest: Instance, refused: Mapping[str, float]) -> Host | None:
        seen = sorted(self.where.get(guest.uuid, set()) & self.hosts.keys())
        if seen:
            # It is there already: to spawn it once more is success, and makes it placed.
            return self.hosts[seen[0]]
        asked = Question(needs_of(guest), self._clock(), self._policy.silent_after, refused)
        choice = choose(self.hosts.values(), asked)
        self.waiting[guest.uuid] = choice.against
        return choice.host

    async def _settle(self, guest: Instance, sent: Sent, refused: dict[str, float], *, again: bool) -> None:
        """Ask for it until it is known what became of it. `again`: it may have been sent by an earlier run."""
        if (host := self.hosts.get(sent.host)) is not None:
            host.claim(guest.uuid, needs_of(guest))
        spawn = Spawn(instance=guest, not_after=sent.not_after)
        while True:
            try:
                await self._compute.spawn(sent.host, spawn, timeout=self._policy.answer, message_id=sent.identity)
            except AgentError as error:
                log.info("spawn of %s on %s: %s: %s", guest.uuid, sent.host, error.code, error.message)
                following, again = next_after(error, again=again), True
                if following is Next.ASK_AGAIN and not await self._is_given_up(sent):
                    continue
                await self._refused(sent, error, following, refused)
            else:
                self.where.setdefault(guest.uuid, set()).add(sent.host)
                self._end(sent, placed=True)
            return

    async def _refused(self, sent: Sent, error: AgentError, following: Next, refused: dict[str, float]) -> None:
        if following is Next.GIVE_UP:
            self.failed[sent.uuid] = f"{sent.host}: {error.code}: {error.message}"
        if following is Next.DESTROY:
            await self._destroyed(sent.uuid, sent.host)
        now, host = self._clock(), self.hosts.get(sent.host)
        refused[sent.host] = now + (self._policy.soon if following is Next.SOON else self._policy.rest)
        if host is not None and host_is_resting(error):
            host.resting_until = now + self._policy.rest
        self._end(sent, placed=False)

    async def _is_given_up(self, sent: Sent) -> bool:
        """Wait until its host speaks again (False), or won't begin it any more."""
        if (host := self.hosts.get(sent.host)) is not None:
            host.leaving = True  # until it is heard again
        while not self._speaks(sent.host):
            past = sent.not_after + timedelta(seconds=self._policy.skew) < datetime.now(UTC)
            if past and self._policy.elsewhere_when_silent:
                return True
            await self._change(timeout=1.0)
        return False

    def _speaks(self, name: str) -> bool:
        host = self.hosts.get(name)
        return host is not None and not host.leaving and self._clock() - host.heard < self._policy.silent_after

    def _end(self, sent: Sent, *, placed: bool) -> None:
        if (host := self.hosts.get(sent.host)) is not None:
            if placed:
                host.end_claim(sent.uuid, self._clock())
            else:
                host.drop_claim(sent.uuid)
        if sent.uuid not in self.failed:
            self._claims.end(sent, "placed" if placed else "gone")
        self._remove_extra(sent.uuid)
        self._tell()

    # One guest, one host

    def _remove_extra(self, uuid: UUID) -> None:
        """Destroy a guest where it isn't placed. Only those that are wanted: others are others'."""
        if (place := self.placed.get(uuid)) is None:
            return
        for host in self.where.get(uuid, set()) - {place}:
            if (uuid, host) not in self._removing:
                self._removing.add((uuid, host))
                log.warning("%s is on %s too, and placed on %s: destroyed there", uuid, host, place)
                self._begin(self._remove(uuid, host))

    async def _remove(self, uuid: UUID, host: str) -> None:
        try:
            await self._destroyed(uuid, host)
        finally:
            self._removing.discard((uuid, host))

    async def _destroyed(self, uuid: UUID, host: str) -> None:
        """However long it takes."""
        while True:
            with suppress(AgentError):
                await self._compute.destroy(host, Destroy(instance_uuid=uuid), timeout=self._policy.answer)
                break
            await self._change(timeout=self._policy.soon)
        self.where.get(uuid, set()).discard(host)
        self._tell()

    # Knowing

    async def _follow(self, events: AsyncIterator[CloudEvent]) -> None:
        handlers = {
            "compute.host.report": self._on_report,
            "compute.host.started": self._on_started,
            "compute.host.stopping": self._on_stopping,
            "compute.instance.spawn.end": self._on_spawned,
            "compute.instance.destroy.end": self._on_destroyed,
        }
        async for event in events:
            if (handler := handlers.get(event.type)) is not None:
                handler(event)
                self._tell()

    def _on_report(self, event: CloudEvent) -> None:
        info = HostInfo.model_validate(event.data)
        known = self.hosts.get(info.host)
        self._hear(info)
        if known is None:
            self._begin(self._read(info.host))

    def _on_started(self, event: CloudEvent) -> None:
        self._begin(self._read(str(event.data["host"])))

    def _on_stopping(self, event: CloudEvent) -> None:
        if (host := self.hosts.get(str(event.data["host"]))) is not None:
            host.leaving = True

    def _on_spawned(self, event: CloudEvent) -> None:
        self._seen(UUID(event.subject), _host(event))

    def _on_destroyed(self, event: CloudEvent) -> None:
        self.where.get(UUID(event.subject), set()).discard(_host(event))

    def _missed(self, missed: Missed) -> None:
        for name in [missed.host] if missed.host else list(self.hosts):
            self._begin(self._read(name))

    async def _read(self, name: str) -> None:
        """All of a host, as it is. One that doesn't answer is left as it was known."""
        before = {uuid for uuid, hosts in self.where.items() if name in hosts}
        try:
            info = await self._compute.get_host(name, GetHost(), timeout=self._policy.answer)
            listed = await self._compute.list_instances(name, ListInstances(), timeout=self._policy.answer)
        except AgentError as error:
            log.info("%s can't be read: %s: %s", name, error.code, error.message)
            return
        self._hear(info)
        there = {instance.uuid for instance in listed.instances}
        for uuid in before - there:
            self.where[uuid].discard(name)
        for uuid in there:
            self._seen(uuid, name)
        self._tell()

    def _hear(self, info: HostInfo) -> None:
        now = self._clock()
        if (host := self.hosts.get(info.host)) is None:
            self.hosts[info.host] = Host(info, now)
        else:
            host.report(info, now)

    def _seen(self, uuid: UUID, host: str) -> None:
        if uuid in self._wanted:
            self.where.setdefault(uuid, set()).add(host)
            self._remove_extra(uuid)

    # Waiting

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside all else; what dies of a bug takes the scheduler with it."""
        self._group.create_task(work)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self, timeout: float | None = None) -> None:
        """Until something is told, or `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._changed.wait()


def _host(event: CloudEvent) -> str:
    return event.source.removeprefix("/compute/")
