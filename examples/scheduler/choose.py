"""Which host a guest goes to: filters say where it can't go, weighers where it goes best. Pure.

A further rule is a function and a line in one of the two tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from examples.scheduler.hosts import Host, Needs


@dataclass(frozen=True, slots=True)
class Question:
    """Where shall this go, now? `refused`: hosts that have said no to this guest, and until when they aren't asked
    again. `silent_after_s`: how long a host may be quiet; three times what lies between its reports is right."""

    needs: Needs
    now: float
    silent_after_s: float
    refused: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """The host, if there is one. `against`: how many hosts each filter took out."""

    host: Host | None
    against: Mapping[str, int]


Filter = Callable[[Host, Question], bool]
"""Whether the guest may go there."""
Weigher = Callable[[Host], float]
"""How good a host is, 0.0 to 1.0."""


def _speaks(host: Host, asked: Question) -> bool:
    return asked.now - host.heard <= asked.silent_after_s


def _stays(host: Host, asked: Question) -> bool:
    return not host.leaving


def _is_able(host: Host, asked: Question) -> bool:
    return asked.now >= host.resting_until


def _has_not_refused(host: Host, asked: Question) -> bool:
    return asked.now >= asked.refused.get(host.name, 0.0)


def _has_vcpus(host: Host, asked: Question) -> bool:
    return host.free.vcpus >= asked.needs.vcpus


def _has_memory(host: Host, asked: Question) -> bool:
    return host.free.memory_mb >= asked.needs.memory_mb


def _has_disk(host: Host, asked: Question) -> bool:
    return host.free.disk_mb >= asked.needs.disk_mb


FILTERS: Mapping[str, Filter] = {
    "silent": _speaks,
    "leaving": _stays,
    "unavailable": _is_able,
    "refused": _has_not_refused,
    "vcpus": _has_vcpus,
    "memory": _has_memory,
    "disk": _has_disk,
}
"""By what they find wrong, in the order in which they are asked."""


def _free_memory(host: Host) -> float:
    return _part(host.free.memory_mb, host.total.memory_mb)


def _free_vcpus(host: Host) -> float:
    return _part(host.free.vcpus, host.total.vcpus)


def _idle(host: Host) -> float:
    return 1.0 / (1.0 + host.under_way)


WEIGHERS: tuple[tuple[float, Weigher], ...] = (
    (1.0, _free_memory),
    (1.0, _free_vcpus),
    (0.5, _idle),
)
"""Each with how much it counts. All spread; a negative number would pack."""


def choose(hosts: Iterable[Host], asked: Question) -> Choice:
    """The best of those that no filter takes out; of equals the first by name."""
    fit, against = list[Host](), Counter[str]()
    for host in hosts:
        wrong = next((name for name, passes in FILTERS.items() if not passes(host, asked)), None)
        if wrong is None:
            fit.append(host)
        else:
            against[wrong] += 1
    return Choice(min(fit, key=lambda host: (-weight(host), host.name), default=None), against)


def weight(host: Host) -> float:
    return sum(counts * weigher(host) for counts, weigher in WEIGHERS)


def _part(free: int, total: int) -> float:
    return max(0.0, min(1.0, free / total)) if total else 0.0
