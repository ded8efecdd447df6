"""Counters of a running guest, named as nova names them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.hypervisor.libvirt.api import DomainStats, GetStats, Stats
from agent.hypervisor.libvirt.views import Here, need, ours
from agent.spec import PowerState

GROUPS = Stats.CPU_TOTAL | Stats.BALLOON | Stats.VCPU | Stats.INTERFACE | Stats.BLOCK

DISK = {"read": "rd.bytes", "read_req": "rd.reqs", "write": "wr.bytes", "write_req": "wr.reqs"}
INTERFACE = {
    f"{way}{suffix}": f"{way}.{counter}"
    for way in ("rx", "tx")
    for suffix, counter in {"": "bytes", "_packets": "pkts", "_errors": "errs", "_drop": "drop"}.items()
}
UNCOUNTED = -1
"""nova's word for what QEMU doesn't count."""


def counters(here: Here, uuid: UUID) -> dict[str, Any]:
    """Times in ns, memory in KiB. Raises NotFound, Conflict when it is off.

    A guest that is busy with a job gives what can be had without waiting for the job's end.
    """
    domain = ours(here, uuid)
    need(domain, PowerState.RUNNING, PowerState.PAUSED)
    found = here.connection.domainListGetStats([domain], GROUPS, GetStats.NOWAIT)
    return named(found[0][1]) if found else {}


def named(stats: DomainStats) -> dict[str, Any]:
    """From libvirt's names (virConnectGetAllDomainStats) to nova's."""
    return {**dict(_cpus(stats)), **dict(_memory(stats)), **dict(_disks(stats)), **dict(_interfaces(stats))}


def _cpus(stats: DomainStats) -> Iterator[tuple[str, Any]]:
    for key, value in stats.items():
        if match := re.fullmatch(r"vcpu\.(\d+)\.time", key):
            yield f"cpu{match[1]}_time", value


def _memory(stats: DomainStats) -> Iterator[tuple[str, Any]]:
    if "balloon.maximum" in stats:
        yield "memory", stats["balloon.maximum"]
    if "balloon.current" in stats:
        yield "memory-actual", stats["balloon.current"]
    for key, value in stats.items():
        group, _, name = key.partition(".")
        if group == "balloon" and name not in ("maximum", "current"):
            yield f"memory-{name.replace('-', '_')}", value


def _disks(stats: DomainStats) -> Iterator[tuple[str, Any]]:
    for number in range(stats.get("block.count", 0)):
        name = stats.get(f"block.{number}.name")
        for name_here, theirs in DISK.items():
            if (value := stats.get(f"block.{number}.{theirs}")) is not None:
                yield f"{name}_{name_here}", value
        yield f"{name}_errors", UNCOUNTED


def _interfaces(stats: DomainStats) -> Iterator[tuple[str, Any]]:
    for number in range(stats.get("net.count", 0)):
        name = stats.get(f"net.{number}.name")
        for name_here, theirs in INTERFACE.items():
            if name and (value := stats.get(f"net.{number}.{theirs}")) is not None:
                yield f"{name}_{name_here}", value
