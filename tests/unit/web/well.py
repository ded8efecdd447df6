"""An agent to whom nothing is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from agent.health import (
    Broker,
    Commands,
    Health,
    Hypervisor,
    Journal,
    Link,
    Outbox,
    Probe,
    Recovery,
    Task,
    Watchdog,
)

BEGAN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NOW = datetime(2026, 1, 1, 13, 0, tzinfo=UTC)
UP = Link(up=True, since=BEGAN)

WELL = Health(
    host="h1",
    agent_version="1",
    pid=7,
    started_at=BEGAN,
    observed_at=NOW,
    broker=Broker(
        address="b:5672/",
        commands=UP,
        answers=UP,
        last_confirm=NOW,
        probe=Probe(interval_s=5, heard_at=NOW, took_s=0.002),
    ),
    commands=Commands(taken=True, pending=3, max_pending=1000),
    outbox=Outbox(waiting=0, limit=100),
    journal=Journal(stream=UUID(int=1), bytes=4096),
    hypervisor=Hypervisor(driver="fake", reachable=True, since=BEGAN, lost_threads_bound=32),
    recovery=Recovery(done=True, operations=0),
    tasks=(Task(name="outbox", limit_s=60),),
    watchdog=Watchdog(fed=True),
)
