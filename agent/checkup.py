"""Asks every part of the agent how it is, and makes one `Health` of it for the socket's pages.

Nothing here may wait for what could be sick. Only the journal is asked through a thread; when that doesn't answer
within a moment, the last answer stands.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from agent import health
from agent.errors import AgentError
from agent.health import Health
from agent.hypervisor.ports import Hypervisor
from agent.journal import Journal
from agent.journal.condition import Condition
from agent.operations.runner import Operations
from agent.power import PowerStates
from agent.pulse import Pulses
from agent.rpc.connection import LinkState
from agent.rpc.edge import Edge
from agent.settings import Settings
from agent.version import agent_version
from agent.watchdog import Verdict

_JOURNAL_S = 1.0
_AGAIN_S = 10.0
_STUCK_S = 120.0


@dataclass(slots=True)
class Course:
    """How far the agent's own life is; `service` writes it."""

    recovered: int | None = None
    """Operations taken up of an earlier run; None before that."""
    stopping: bool = False
    worn: str | None = None
    """Why it stops by itself, if it does."""


@dataclass(slots=True)
class Checkup:
    """One for the agent."""

    settings: Settings
    course: Course
    journal: Journal
    hypervisor: Hypervisor
    power: PowerStates
    operations: Operations
    edge: Edge
    pulses: Pulses
    verdict: Callable[[], Verdict]
    _asking: asyncio.Task[None] | None = None
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _condition: Condition = field(default_factory=lambda: Condition(0, None, 0))

    async def look(self) -> Health:
        """Judged."""
        await self._ask_journal()
        return Health(
            host=self.settings.host,
            agent_version=agent_version(),
            pid=os.getpid(),
            started_at=self._began,
            observed_at=datetime.now(UTC),
            stopping=self.course.stopping,
            worn=self.course.worn,
            broker=self._broker(),
            commands=self._commands(),
            outbox=self._outbox(),
            journal=self._journal(),
            hypervisor=self._hypervisor(),
            recovery=health.Recovery(done=self.course.recovered is not None, operations=self.course.recovered),
            tasks=self._tasks(),
            watchdog=self._watchdog(),
        ).judged()

    async def run(self) -> None:
        """Ask the journal again and again, so that it is noticed when it doesn't answer. Until cancelled."""
        pulse = self.pulses.of("journal", _STUCK_S)
        while True:
            with pulse.busy(), suppress(AgentError):
                await self.journal.try_again()
                await self._ask()
            await asyncio.sleep(_AGAIN_S)

    async def _ask_journal(self) -> None:
        """At most one question is under way: a journal that is slow mustn't get slower by them."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait({self._asking}, timeout=_JOURNAL_S)

    async def _ask(self) -> None:
        with suppress(AgentError):
            self._condition = await self.journal.condition()

    def _broker(self) -> health.Broker:
        publisher, consumer = self.edge.publisher.health(), self.edge.consumer.health()
        return health.Broker(
            address=address(self.settings.amqp.url.get_secret_value()),
            commands=_link(consumer.link, None),
            answers=_link(publisher.link, publisher.blocked_since),
            last_confirm=publisher.last_confirm,
            probe=self._probe(),
        )

    def _probe(self) -> health.Probe:
        probe = self.edge.probe
        deaf = probe.deafness()
        return health.Probe(
            interval_s=probe.interval_s,
            heard_at=probe.heard_at,
            took_s=probe.took_s,
            deaf_since=deaf.since if deaf else None,
        )

    def _commands(self) -> health.Commands:
        consumer = self.edge.consumer.health()
        return health.Commands(
            taken=consumer.consuming,
            paused_since=consumer.paused_since,
            why_paused="too many unfinished operations" if consumer.paused_since else None,
            pending=self.operations.pending,
            max_pending=self.settings.operations.max_pending,
            in_hand=consumer.in_hand.count,
            in_hand_since=_moment(consumer.in_hand.oldest),
        )

    def _outbox(self) -> health.Outbox:
        return health.Outbox(
            waiting=self._condition.waiting,
            oldest=self._condition.oldest,
            limit=self.settings.journal.outbox_limit,
        )

    def _journal(self) -> health.Journal:
        trouble = self.journal.trouble
        return health.Journal(
            stream=self.journal.stream,
            bytes=self._condition.bytes,
            unwritable_since=trouble.since if trouble else None,
            error=trouble.message if trouble else None,
        )

    def _hypervisor(self) -> health.Hypervisor:
        given_up = self.hypervisor.given_up()
        return health.Hypervisor(
            driver=self.settings.hypervisor.driver,
            reachable=self.power.reachable,
            since=self.power.since,
            lost_threads=given_up.hanging,
            lost_threads_ever=given_up.ever,
            lost_threads_bound=given_up.bound,
            overdue_calls=given_up.overdue,
        )

    def _tasks(self) -> tuple[health.Task, ...]:
        now = time.monotonic()
        return tuple(
            health.Task(
                name=pulse.name,
                busy_since=_moment(pulse.since),
                limit_s=pulse.limit_s,
                stuck=pulse.stuck(now),
            )
            for pulse in self.pulses
        )

    def _watchdog(self) -> health.Watchdog:
        verdict = self.verdict()
        return health.Watchdog(fed=verdict.feed, why=verdict.why)


def _moment(monotonic: float | None) -> datetime | None:
    """Of the clock, for one in monotonic seconds."""
    return None if monotonic is None else datetime.now(UTC) - timedelta(seconds=time.monotonic() - monotonic)


def _link(state: LinkState, blocked_since: datetime | None) -> health.Link:
    return health.Link(up=state.up, since=state.since, blocked_since=blocked_since, error=state.error)


def address(url: str) -> str:
    """`host:port/vhost` of a broker's URL: never its user or password."""
    parts = urlsplit(url)
    port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{port}{parts.path}"
