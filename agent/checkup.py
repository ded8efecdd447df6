"""Asks every part of the agent how it is, and makes one `Health` of it for the socket's pages.

Nothing here may wait for what could be sick. Only the journal is asked through a thread; when that doesn't answer
within a moment, the last answer stands.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from agent import health
from agent.errors import AgentError
from agent.health import Health
from agent.hypervisor.ports import Hypervisor
from agent.journal import Journal
from agent.journal.condition import Condition
from agent.operations.runner import Operations
from agent.power import PowerStates
from agent.rpc.connection import LinkState
from agent.rpc.consumer import Consumer
from agent.rpc.publisher import Publisher
from agent.settings import Settings
from agent.version import agent_version

_JOURNAL_S = 1.0


@dataclass(slots=True)
class Course:
    """How far the agent's own life is; `service` writes it."""

    recovered: int | None = None
    """Operations taken up of an earlier run; None before that."""
    stopping: bool = False


@dataclass(slots=True)
class Checkup:
    """One for the agent."""

    settings: Settings
    course: Course
    journal: Journal
    hypervisor: Hypervisor
    power: PowerStates
    operations: Operations
    consumer: Consumer
    publisher: Publisher
    watchdog: Callable[[], health.Watchdog]
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
            broker=await self._broker(),
            commands=self._commands(),
            outbox=self._outbox(),
            journal=self._journal(),
            hypervisor=self._hypervisor(),
            recovery=health.Recovery(done=self.course.recovered is not None, operations=self.course.recovered),
            watchdog=self.watchdog(),
        ).judged()

    async def _ask_journal(self) -> None:
        try:
            async with asyncio.timeout(_JOURNAL_S):
                self._condition = await self.journal.condition()
        except (TimeoutError, AgentError):
            return

    async def _broker(self) -> health.Broker:
        publisher = await self.publisher.health()
        return health.Broker(
            address=address(self.settings.amqp.url.get_secret_value()),
            commands=_link(self.consumer.health().link, None),
            answers=_link(publisher.link, publisher.blocked_since),
            last_confirm=publisher.last_confirm,
            probe=health.Probe(interval_s=0),
        )

    def _commands(self) -> health.Commands:
        consumer = self.consumer.health()
        return health.Commands(
            taken=consumer.consuming,
            paused_since=consumer.paused_since,
            why_paused="too many unfinished operations" if consumer.paused_since else None,
            pending=self.operations.pending,
            max_pending=self.settings.operations.max_pending,
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
        )


def _link(state: LinkState, blocked_since: datetime | None) -> health.Link:
    return health.Link(up=state.up, since=state.since, blocked_since=blocked_since, error=state.error)


def address(url: str) -> str:
    """`host:port/vhost` of a broker's URL: never its user or password."""
    parts = urlsplit(url)
    port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{port}{parts.path}"
