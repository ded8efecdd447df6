"""What is known of the hosts: their own reports, and what was claimed on them since. Pure.

A report says what a host had used when it was made. A guest that is placed counts beside it, as a claim, until a
report has come that must know of it: rather counted twice for a moment than not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from agent.rpc.schema.instance import BlankDisk, Instance
from agent.rpc.schema.results import HostInfo

SETTLING_S = 1.0
"""Seconds after a spawn's end in which a report may still be from before it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of a guest, or free on a host. MiB."""

    vcpus: int = 0
    memory_mb: int = 0
    disk_mb: int = 0

    def __add__(self, other: Needs) -> Needs:
        return Needs(self.vcpus + other.vcpus, self.memory_mb + other.memory_mb, self.disk_mb + other.disk_mb)

    def __sub__(self, other: Needs) -> Needs:
        return self + Needs(-other.vcpus, -other.memory_mb, -other.disk_mb)


def needs_of(instance: Instance) -> Needs:
    """Images take what they take: only a blank disk says its size."""
    disks = sum(disk.size_mb for disk in instance.disks if isinstance(disk, BlankDisk))
    return Needs(instance.vcpus, instance.memory_mb, disks)


@dataclass(slots=True)
class Claim:
    """Room taken on a host. `ended`: when its spawn was answered."""

    needs: Needs
    ended: float | None = None


@dataclass(slots=True)
class Host:
    """One host. Times are seconds of one clock that only goes forward."""

    info: HostInfo
    heard: float
    leaving: bool = False
    """It said that it stops, or could not be reached."""
    resting_until: float = 0.0
    """It said that it can't just now."""
    claims: dict[UUID, Claim] = field(default_factory=dict)
    free: Needs = field(init=False)
    """What the report says, less what was claimed since."""

    def __post_init__(self) -> None:
        self._count()

    @property
    def name(self) -> str:
        return self.info.host

    @property
    def total(self) -> Needs:
        return Needs(self.info.vcpus, self.info.memory_mb, self.info.disk_mb)

    @property
    def under_way(self) -> int:
        return sum(claim.ended is None for claim in self.claims.values())

    def claim(self, uuid: UUID, needs: Needs) -> None:
        self.claims[uuid] = Claim(needs)
        self._count()

    def end_claim(self, uuid: UUID, now: float) -> None:
        """Its guest is there."""
        if uuid in self.claims:
            self.claims[uuid].ended = now

    def drop_claim(self, uuid: UUID) -> None:
        """Its guest isn't there."""
        self.claims.pop(uuid, None)
        self._count()

    def report(self, info: HostInfo, now: float) -> None:
        self.info, self.heard, self.leaving = info, now, False
        self.claims = {uuid: claim for uuid, claim in self.claims.items() if not _is_known(claim, now)}
        self._count()

    def _count(self) -> None:
        """Once for each change: a choice looks at every host."""
        info = self.info
        left = Needs(info.vcpus - info.vcpus_used, info.memory_mb - info.memory_mb_used, info.disk_mb_free)
        self.free = left - sum((claim.needs for claim in self.claims.values()), Needs())


def _is_known(claim: Claim, now: float) -> bool:
    return claim.ended is not None and now > claim.ended + SETTLING_S
