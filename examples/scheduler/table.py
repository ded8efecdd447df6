"""What the scheduler knows, as a table on the terminal."""

from __future__ import annotations

import asyncio
import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.scheduler.hosts import Host
from examples.scheduler.scheduler import Scheduler

EVERY_S = 0.5


async def show(scheduler: Scheduler, wanted: int) -> None:
    """Until cancelled; on standard error, and nothing where that is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(drawn(scheduler, wanted, time.monotonic()), refresh=True)
            await asyncio.sleep(EVERY_S)


def drawn(scheduler: Scheduler, wanted: int, now: float) -> Group:
    table = Table("host", "", "guests", "under way", "vcpus", "memory MiB", "disk MiB free", "heard")
    for host in sorted(scheduler.hosts.values(), key=lambda host: host.name):
        table.add_row(*_row(host, now))
    return Group(table, Text(summary(scheduler, wanted)), *map(Text, _reasons(scheduler)))


def summary(scheduler: Scheduler, wanted: int) -> str:
    """In one line; a number that is no part of `wanted` is left out when it is 0."""
    doubled = sum(len(hosts) > 1 for hosts in scheduler.where.values())
    parts = [f"{len(scheduler.placed)} of {wanted} placed"]
    parts += [f"{len(scheduler.waiting)} wait for room"] if scheduler.waiting else []
    parts += [f"{doubled} on more than one host"] if doubled else []
    parts += [f"{len(scheduler.failed)} failed"] if scheduler.failed else []
    return ", ".join(parts)


def _row(host: Host, now: float) -> tuple[str, ...]:
    info, free = host.info, host.free
    return (
        host.name,
        "away" if host.leaving else "",
        str(info.instances),
        str(host.under_way or ""),
        f"{info.vcpus - free.vcpus}/{info.vcpus}",
        f"{info.memory_mb - free.memory_mb}/{info.memory_mb}",
        str(free.disk_mb),
        f"{now - host.heard:.0f} s ago",
    )


def _reasons(scheduler: Scheduler) -> list[str]:
    """The first few of those that fail or wait, with why."""
    failed = [f"{uuid}: {why}" for uuid, why in scheduler.failed.items()]
    waiting = [f"{uuid} waits: {_against(against)}" for uuid, against in scheduler.waiting.items()]
    return [*failed[:5], *waiting[:5]]


def _against(against: object) -> str:
    if not isinstance(against, dict) or not against:
        return "no host is known yet"
    return ", ".join(f"{number} hosts {name}" for name, number in against.items())
